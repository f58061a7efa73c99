# SPDX-License-Identifier: Apache-2.0
"""Prometheus text (exposition format 0.0.4): families in, text out. Pure; what is counted is gathered in `api`.

Names carry their unit, counters end in _total, one HELP and one TYPE a family, label values escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Family:
    """One metric with its samples: labels and value."""

    name: str
    kind: str  # counter or gauge
    help: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float | None, **labels: str | None) -> Family:
        """Adds a sample; an unknown value is left out, never shown as 0."""
        if value is not None:
            self.samples.append(({key: text for key, text in labels.items() if text is not None}, value))
        return self


def exposition(families: Iterable[Family]) -> str:
    lines = []
    for family in families:
        if not family.samples:
            continue
        name = re.sub(r"[^a-zA-Z0-9_:]", "_", family.name)
        lines.append(f"# HELP {name} {_escape(family.help, quotes=False)}")
        lines.append(f"# TYPE {name} {family.kind}")
        for labels, value in family.samples:
            inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
            lines.append(f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}")
    return "\n".join(lines) + "\n"


def _escape(text: str, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
