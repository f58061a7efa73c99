# SPDX-License-Identifier: Apache-2.0
"""`pillion crashes`: each end as a head line, then the requests that were under way, then what came last. Pure."""

from __future__ import annotations

from typing import Any

from pillion_collector.cli import Screen
from pillion_collector.containers import SHORT
from pillion_collector.table import DASH, clean, clock, count, cut, duration, paint

_LAST = 3  # spans; --json has all


def crash_list(crashes: list[dict[str, Any]], screen: Screen) -> str:
    return "\n\n".join("\n".join(_crash(one, screen)) for one in crashes)


def _crash(one: dict[str, Any], screen: Screen) -> list[str]:
    where = f" in container {clean(one['container'][:SHORT])}" if one["container"] else ""
    who = f"{clean(one['service'] or one['command'] or DASH)} {one['pid']}{where} {one['how']}"
    lived = duration(max(1, int(one["ended_ns"]) - int(one["began_ns"])))
    lines = [f"{clock(int(one['ended_ns']))}  {paint(who, 'red bold', screen.colour)}  after {lived}"]
    for request in one["requests"]:
        what = clean(request["name"]) + (f"  {clean(request['detail'])}" if request["detail"] else "")
        spent = duration(max(1, int(one["ended_ns"]) - int(request["start_ns"])))
        lines.append(_line("in", what, f"for {spent}", request["trace_id"], screen))
    lines += [
        _line("after", clean(span["name"]), duration(span["duration_ns"]), span["trace_id"], screen)
        for span in one["last_spans"][:_LAST]
    ]
    lost = ", ".join(f"{reason} {count(number)}" for reason, number in one["dropped"].items())
    spans = f"recorded {count(one['recorded'])}, stored {count(one['stored'])}" + (f", lost: {lost}" if lost else "")
    lines.append(paint(f"  spans  {spans}", "dim", screen.colour))
    return lines


def _line(label: str, what: str, spent: str, trace_id: str, screen: Screen) -> str:
    room = max(20, screen.width - 8 - 36 - 14)
    return f"  {label.ljust(5)}  {cut(what, room).ljust(room)}  {spent.rjust(10)}  {trace_id}"
