# SPDX-License-Identifier: Apache-2.0
"""`pillion trace`: the spans of a trace as a tree, one line each, with a bar for when it ran.

Pure. Iterative, for a trace may be deeper than Python's stack; a span whose parent is missing stands at the top, a
cycle of parents is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pillion_collector.cli import Screen
from pillion_collector.table import clean, clock, count, cut, duration, len_of, paint

LINES = 5000


def tree(trace: dict[str, Any], screen: Screen) -> str:
    spans = trace["spans"]
    errors = sum(one["status"] == "error" for one in spans)
    head = [
        f"trace {trace['trace_id']}",
        clock(int(trace["start_ns"])),
        duration(trace["duration_ns"]),
        f"{count(len(spans))} spans",
        paint(f"{count(errors)} errors", "red" if errors else "dim", screen.colour),
    ]
    bar = max(10, min(40, screen.width // 4))
    names = max(20, screen.width - bar - 10 - 2 - 2)
    lines = ["  ".join(head)]
    for number, (span, branch) in enumerate(_walk(spans)):
        if number == LINES:
            lines.append(f"… and {count(len(spans) - LINES)} more; see them with --json or in the UI")
            break
        lines += _span(span, branch, trace, names, bar, screen)
    return "\n".join(lines)


def _span(span: dict[str, Any], branch: str, trace: dict[str, Any], names: int, bar: int, screen: Screen) -> list[str]:
    failed = span["status"] == "error"
    mark = "✗ " if failed else ""
    service = clean(span["service"])
    branch = branch if len(branch) <= names // 2 else "…" + branch[-(names // 2) + 1 :]
    room = names - len_of(branch) - len_of(mark)
    name = cut(clean(span["name"]), max(8, room - len_of(service) - 2))
    shown = cut(service, max(4, room - len_of(name) - 2))
    gap = " " * max(0, room - len_of(name) - 2 - len_of(shown))
    text = (
        paint(branch, "dim", screen.colour)
        + paint(mark, "red bold", screen.colour)
        + paint(name, "red" if failed else "bold", screen.colour)
        + "  "
        + paint(shown, "cyan", screen.colour)
        + gap
    )
    ends = duration(span["duration_ns"]).rjust(10)
    lines = [f"{text}{ends}  {paint(_bar(span, trace, bar), 'red' if failed else 'green', screen.colour)}".rstrip()]
    if failed and span["status_message"]:
        lines.append(
            " " * len_of(branch)
            + "  "
            + paint(cut(clean(span["status_message"]), screen.width - len_of(branch) - 2), "red", screen.colour)
        )
    return lines


def _bar(span: dict[str, Any], trace: dict[str, Any], width: int) -> str:
    whole = max(1, int(trace["duration_ns"]))
    begin = (int(span["start_ns"]) - int(trace["start_ns"])) * width // whole
    begin = min(max(0, begin), width - 1)
    length = max(1, int(span["duration_ns"]) * width // whole)
    return " " * begin + "━" * min(length, width - begin)


def _walk(spans: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each span once with its branch, parents before children, in order of start."""
    known = {one["span_id"] for one in spans}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for one in spans:
        parent = one["parent_id"] if one["parent_id"] in known and one["parent_id"] != one["span_id"] else None
        children.setdefault(parent, []).append(one)
    seen: set[str] = set()
    starts = [*children.get(None, []), *spans]  # the second half only catches cycles, which no root reaches
    for root in starts:
        stack: list[tuple[dict[str, Any], str, str]] = [(root, "", "")]
        while stack:
            span, branch, indent = stack.pop()
            if span["span_id"] in seen:
                continue
            seen.add(span["span_id"])
            yield span, branch
            below = children.get(span["span_id"], [])
            for at in range(len(below) - 1, -1, -1):
                last = at == len(below) - 1
                stack.append((below[at], indent + ("└ " if last else "├ "), indent + ("  " if last else "│ ")))
