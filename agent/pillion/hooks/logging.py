# SPDX-License-Identifier: Apache-2.0
"""logging: every log record knows its trace: `trace_id`, `span_id`, `trace_flags`, and `otelTraceID`, `otelSpanID`,
`otelTraceSampled`, `otelServiceName` as OpenTelemetry's own instrumentation calls them.

What the application set itself stays, and its formats stay. OTEL_PYTHON_LOG_CORRELATION=true changes logging's default
format (a Formatter or basicConfig without one) into OTEL_PYTHON_LOG_FORMAT or the one below, and no other format.
"""

from __future__ import annotations

import os
import sys

from pillion import config, start
from pillion.patch import OBSERVE, Call, Target

FORMAT = (
    "%(asctime)s %(levelname)s [%(name)s] [%(filename)s:%(lineno)d]"
    " [trace_id=%(otelTraceID)s span_id=%(otelSpanID)s resource.service.name=%(otelServiceName)s"
    " trace_sampled=%(otelTraceSampled)s] - %(message)s"
)
_settings = config.read(os.environ)[0]
_service = start.service  # known before any hook is loaded
_flags = [f"{flags:02x}" for flags in range(256)]


def correlate(call: Call, record: object) -> None:
    put = record.__dict__.setdefault
    put("otelServiceName", _service)
    span = call.span
    if span is None:  # a format that names the fields works here too
        for name in ("trace_id", "span_id", "trace_flags"):
            put(name, "")
        put("otelTraceID", "0")
        put("otelSpanID", "0")
        put("otelTraceSampled", False)
        return
    trace_id, span_id, flags = span.trace_id, span.span_id, span.flags & 0xFF
    put("trace_id", trace_id)
    put("span_id", span_id)
    put("trace_flags", _flags[flags])
    put("otelTraceID", trace_id)
    put("otelSpanID", span_id)
    put("otelTraceSampled", flags & 1 == 1)


def reformat(call: Call, result: object) -> None:
    """A formatter without a format of its own gets ours."""
    logging = sys.modules["logging"]
    formatter, given = call.args[0], call.get(1, "fmt")
    if (given is None or given == logging.BASIC_FORMAT) and call.get(3, "style", "%") == "%":
        formatter._style = logging.PercentStyle(os.environ.get("OTEL_PYTHON_LOG_FORMAT") or FORMAT)
        formatter._fmt = formatter._style._fmt


TARGETS = {"logging:Logger.makeRecord": Target(OBSERVE, conclude=correlate)}
if _settings.log_correlation:
    TARGETS["logging:Formatter.__init__"] = Target(OBSERVE, conclude=reformat)
