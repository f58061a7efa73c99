# SPDX-License-Identifier: Apache-2.0
"""What each table command asks the API, and how it shows the answer. SHOW is the one table of them.

A table is a tuple of columns, each with the function that makes its cell of one row of the answer.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from pillion_collector import Trouble
from pillion_collector.cli import Screen, pairs
from pillion_collector.cli_crashes import crash_list
from pillion_collector.cli_tree import tree
from pillion_collector.client import Client
from pillion_collector.containers import SHORT
from pillion_collector.table import DASH, Cell, Column, ago, clock, count, duration, rate, share, size, table

_Row = dict[str, Any]
_Columns = Sequence[tuple[Column, Callable[[_Row], "str | Cell"]]]
_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}

_SERVICES: _Columns = (
    (Column("SERVICE", shrink=1), lambda one: Cell(one["name"], "cyan")),
    (Column("RATE", True), lambda one: rate(one["rate"])),
    (Column("REQUESTS", True), lambda one: count(one["requests"])),
    (Column("ERRORS", True), lambda one: Cell(share(one["error_rate"]), "red" if one["errors"] else "dim")),
    (Column("P50", True), lambda one: duration(one["p50_ns"])),
    (Column("P95", True), lambda one: duration(one["p95_ns"])),
    (Column("P99", True), lambda one: duration(one["p99_ns"])),
    (Column("INSTANCES", True), lambda one: count(one["instances"])),
    (Column("LAST", True), lambda one: ago(int(one["last_ns"]), time.time_ns())),
)
_TRACES: _Columns = (
    (Column("TRACE"), lambda one: one["trace_id"]),
    (Column("START"), lambda one: clock(int(one["start_ns"]))),
    (Column("DURATION", True), lambda one: duration(one["duration_ns"])),
    (Column("SPANS", True), lambda one: count(one["spans"])),
    (Column("ERRORS", True), lambda one: Cell(count(one["errors"]), "red" if one["errors"] else "dim")),
    (Column("ROOT", shrink=1), lambda one: Cell(one["root_name"], "bold")),
    (Column("SERVICES", shrink=2), lambda one: Cell(" ".join(each["name"] for each in one["services"]), "cyan")),
)
_PROCESSES: _Columns = (
    (Column("PID", True), lambda one: str(one["pid"])),
    (Column("CONTAINER"), lambda one: (one["container"] or DASH)[:SHORT]),
    (Column("SERVICE", shrink=2), lambda one: Cell(one["service"] or DASH, "cyan")),
    (Column("COMMAND", shrink=1), lambda one: one["command"] or DASH),
    (Column("PYTHON"), lambda one: one["python"] or DASH),
    (Column("STATE"), lambda one: _state(one)),
    (Column("CPU", True), lambda one: share(one["cpu"])),
    (Column("MEMORY", True), lambda one: size(one["memory_bytes"])),
    (Column("THREADS", True), lambda one: count(one["threads"])),
    (Column("FDS", True), lambda one: count(one["fds"])),
    (Column("UP", True), lambda one: _up(one)),
    (Column("SPANS", True), lambda one: count(one["spans"])),
    (Column("INSTRUMENTED", shrink=3), lambda one: _decision(one)),
)
_LEDGERS: _Columns = (
    (Column("PID", True), lambda one: str(one["pid"])),
    (Column("SERVICE", shrink=1), lambda one: Cell(one["service"] or DASH, "cyan")),
    (Column("RECORDED", True), lambda one: count(one["recorded"])),
    (Column("STORED", True), lambda one: count(one["stored"])),
    (Column("WAITING", True), lambda one: count(one["waiting"])),
    (Column("IN FLIGHT", True), lambda one: count(one["in_flight"])),
    (Column("DROPPED", shrink=2), lambda one: _lost(one["dropped"])),
    (Column("BALANCED"), lambda one: _balanced(one["balanced"])),
)
LEDGERS = 50  # lines
_NOTHING = "no {} yet; start an application with `pillion run -- CMD`, or look further back with --from -24h"


def services(client: Client, arguments: argparse.Namespace, screen: Screen) -> tuple[Any, str]:
    answer = client.get("/api/services", pairs(("from", arguments.begin), ("to", arguments.end)))
    return answer, _show(_SERVICES, answer["services"], screen) or _NOTHING.format("services")


def traces(client: Client, arguments: argparse.Namespace, screen: Screen) -> tuple[Any, str]:
    query = pairs(
        ("from", arguments.begin),
        ("to", arguments.end),
        ("service", arguments.service),
        ("operation", arguments.operation),
        ("status", arguments.status),
        ("min_ns", nanoseconds("--min", arguments.min)),
        ("max_ns", nanoseconds("--max", arguments.max)),
        ("q", arguments.q),
        ("limit", arguments.limit),
        ("order", "slowest" if arguments.slowest else None),
        *(("attribute", one) for one in arguments.attribute),
    )
    answer = client.get("/api/traces", query)
    text = _show(_TRACES, answer["traces"], screen) or _NOTHING.format("traces")
    more = f"\nonly the first {len(answer['traces'])}; see more with --limit" if answer["truncated"] else ""
    return answer, text + more


def trace(client: Client, arguments: argparse.Namespace, screen: Screen) -> tuple[Any, str]:
    if not re.fullmatch(r"[0-9a-fA-F]{4,32}", arguments.id):
        raise Trouble(f"ID {arguments.id}: not a trace id; give 32 hex digits, or at least the first 4", 2)
    answer = client.get(f"/api/traces/{arguments.id.lower()}")
    return answer, tree(answer, screen)


def ps(client: Client, arguments: argparse.Namespace, screen: Screen) -> tuple[Any, str]:
    answer = client.get("/api/processes")
    if not arguments.all:
        answer = {**answer, "processes": [one for one in answer["processes"] if one["alive"]]}
    nothing = "no running process is known; start one with `pillion run -- CMD`, or see ended ones with --all"
    return answer, _show(_PROCESSES, answer["processes"], screen) or nothing


def crashes(client: Client, arguments: argparse.Namespace, screen: Screen) -> tuple[Any, str]:
    query = pairs(
        ("from", arguments.begin),
        ("to", arguments.end),
        ("service", arguments.service),
        ("limit", arguments.limit),
    )
    answer = client.get("/api/crashes", query)
    nothing = "no crash is known; look further back with --from -24h"
    more = f"\n\nonly the first {len(answer['crashes'])}; see more with --limit" if answer["truncated"] else ""
    return answer, (crash_list(answer["crashes"], screen) or nothing) + more


def stats(client: Client, arguments: argparse.Namespace, screen: Screen) -> tuple[Any, str]:
    answer = client.get("/api/stats")
    own = answer["collector"]
    facts: list[list[str | Cell]] = [
        ["version", own["version"]],
        ["up", duration(own["uptime_s"] * 1e9)],
        ["received", _counts(own["received"])],
        ["stored", _counts(own["stored"])],
        ["refused", _lost(own["refused"])],
        ["duplicates", count(own["duplicates"])],
        ["adopted", count(own["adopted"])],
        ["queue", _counts(own["queue"])],
        ["store", size(own["store_bytes"])],
    ]
    text = table([Column("COLLECTOR"), Column("", shrink=1)], facts, screen.width, screen.colour)
    total = {"pid": "all", "service": None, **answer["total"]}
    shown = answer["processes"][:LEDGERS]
    ledgers = _show(_LEDGERS, [*shown, total] if shown else [], screen)
    if len(answer["processes"]) > len(shown):
        ledgers += f"\nonly the first {len(shown)}, but the sum of all; see the others with --json"
    return answer, text + ("\n\n" + ledgers if ledgers else "")


SHOW: dict[str, Callable[[Client, argparse.Namespace, Screen], tuple[Any, str]]] = {
    "services": services,
    "traces": traces,
    "trace": trace,
    "ps": ps,
    "crashes": crashes,
    "stats": stats,
}


def nanoseconds(flag: str, text: str | None) -> str | None:
    """A duration such as 250ms, in whole nanoseconds."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)(ns|us|µs|ms|s|m)", text)
    if match is None:
        raise Trouble(f"{flag} {text}: not a duration; give a number with ns, us, ms, s or m, such as 250ms", 2)
    return str(round(float(match[1]) * _NS[match[2]]))


def _show(columns: _Columns, rows: Sequence[_Row], screen: Screen) -> str:
    if not rows:
        return ""
    cells = [[cell(row) for _, cell in columns] for row in rows]
    return table([column for column, _ in columns], cells, screen.width, screen.colour)


def _state(one: _Row) -> Cell:
    if one["alive"]:
        return Cell("running, not to be seen from here" if one["hidden"] else "running", "green")
    if one["hidden"] and not one["exit"]:
        return Cell("not to be seen from here", "dim")
    end = one["exit"] or {}
    if "code" in end:
        return Cell(f"exit {end['code']}", "red" if end["code"] else "dim")
    return Cell(f"signal {end['signal']}", "red") if "signal" in end else Cell("ended", "dim")


def _up(one: _Row) -> str:
    if one["started_ns"] is None or not (one["alive"] or one["ended_ns"]):
        return DASH
    end = time.time_ns() if one["alive"] else int(one["ended_ns"])
    return duration(max(1, end - int(one["started_ns"])))


def _decision(one: _Row) -> Cell:
    if one["decision"] == "injected":
        return Cell("yes", "green")
    if one["decision"] is None:
        return Cell("sends OTLP" if one["spans"] else DASH, "dim")
    return Cell(f"no: {one['reason']}" if one["reason"] else "no", "yellow")


def _counts(counts: Any) -> str:
    if not isinstance(counts, dict):
        return count(counts)
    return ", ".join(f"{name} {count(number)}" for name, number in counts.items() if isinstance(number, (int, float)))


def _balanced(balanced: bool | None) -> Cell:
    return Cell(DASH, "dim") if balanced is None else Cell("yes", "green") if balanced else Cell("no", "red bold")


def _lost(counts: dict[str, int]) -> Cell:
    lost = {name: number for name, number in counts.items() if number}
    return Cell(_counts(lost), "red") if lost else Cell("0", "dim")
