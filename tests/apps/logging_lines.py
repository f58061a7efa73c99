# SPDX-License-Identifier: Apache-2.0
"""Log lines inside and outside of a template's rendering: default format, own formats, own fields, a JSON formatter."""

from __future__ import annotations

import json
import logging
import sys

import jinja2

FIELDS = ["otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName", "trace_id", "span_id", "trace_flags"]


class Keeper(logging.Handler):
    def emit(self, record):
        kept.append({name: getattr(record, name, "missing") for name in FIELDS})


kept: list[dict[str, object]] = []
logging.basicConfig(stream=sys.stdout, level=logging.INFO)
log = logging.getLogger("app")
own = logging.StreamHandler(sys.stdout)
own.setFormatter(logging.Formatter("OWN %(levelname)s %(message)s"))
log.addHandler(own)
log.addHandler(Keeper())


def line():
    log.warning("inside %s", "it")
    log.warning("mine", extra={"trace_id": "of the application"})
    return ""


log.info("outside")
jinja2.Environment().from_string("{{ line() }}").render(line=line)
with open(sys.argv[1], "w") as out:
    json.dump(kept, out)
