# SPDX-License-Identifier: Apache-2.0
"""Every attribute that a hook gives a span, or the start its resource, stands in the conventions' registry."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import opentelemetry.semconv._incubating.attributes as incubating
import opentelemetry.semconv.attributes as stable

from tests.agent.hooks.test_faults import PROGRAMS

TEMPLATE = re.compile(r"^(http\.(request|response)\.header)\.")


def names(package) -> dict[str, str]:
    """All names of one of the conventions' own packages, and what it tells about each."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        text = Path(importlib.import_module(module.name).__file__).read_text()
        found.update(re.findall(r'^\w+: Final = "([\w.]+)"(?:\n"""(.*?)""")?', text, re.M | re.S))
    return found


def registry() -> tuple[set[str], set[str]]:
    """All names, and the deprecated ones. Of a stable one the other package says that it has moved."""
    settled, others = names(stable), names(incubating)
    gone = {name for name, told in others.items() if told.lstrip().startswith("Deprecated") and name not in settled}
    return settled.keys() | others.keys(), gone


def test_every_attribute_of_every_hook_is_in_the_registry_and_none_is_deprecated(traced):
    known, deprecated = registry()
    assert len(known) > 500 and "http.method" in deprecated and "url.full" not in deprecated
    used = set()
    for program in PROGRAMS:
        for span in traced(*program).spans:
            used |= set(span.attributes) | set(span.resource)
            used |= {key for _, attributes in span.events for key in attributes}
    assert len(used) > 30, used
    ours = {name for name in used if name.startswith("pillion.")}
    assert not {name for name in used - known - ours if not TEMPLATE.match(name)}
    assert not used & deprecated
