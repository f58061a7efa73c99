# SPDX-License-Identifier: Apache-2.0
"""The ledger of every process, alive or ended: recorded = stored + dropped by reason (+ what still waits).

What is stored is told by the marks of the rings and the ends of those that were adopted, which are exact and know
nothing of retention. Only of a process without a ring the spans themselves are counted.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from pillion_collector.ledger import Ledger
from pillion_collector.processes_known import Process
from pillion_collector.query import Reads

ENDED = 1000  # the latest ones are listed; the total is of all that are stored
_ENDED = """SELECT process, pid, service, instance, time_ns, recorded, stored, dropped, duplicates FROM ends
    WHERE NOT list_contains($live, ring) ORDER BY time_ns DESC LIMIT $limit"""
_TOTAL = """SELECT dropped, count(*), sum(recorded), sum(stored), sum(duplicates) FROM ends
    WHERE NOT list_contains($live, ring) GROUP BY dropped"""
_COUNTED = """SELECT r.service, r.instance, sum(s.spans)
    FROM (SELECT resource_id, count(*) AS spans FROM spans GROUP BY ALL) s
    JOIN (SELECT DISTINCT resource_id, service, instance FROM resources) r USING (resource_id) GROUP BY ALL"""
_NUMBERS = ("recorded", "stored", "waiting", "in_flight", "duplicates")


def ledgers(store: Reads, known: list[Process]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Of every process that has, or had, a ring or stored spans, and the total. The rings were just read."""
    live = {ring for process in known if process.ledger is not None for ring in process.ledger.rings}
    asked = {"live": [*live, b""]}  # what was adopted meanwhile still counts as it was read
    rows = _rows(store, known, asked)
    total = _total(store, rows, asked)
    for one in rows:
        del one["live"]
    return rows, total


def _rows(store: Reads, known: list[Process], asked: dict[str, Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for process in known:
        if process.ledger is not None:
            told = process.found
            one = _row(told.id, process.pid, told.service, told.instance, process.alive)
            found[told.id] = _add_live(one, process.ledger)
    for name, pid, service, instance, time_ns, *numbers in store.query(_ENDED, {**asked, "limit": ENDED}):
        one = found.setdefault(name, _row(name, pid, service, instance, False))
        one["ended_ns"] = one["ended_ns"] or str(time_ns)
        _add_ended(one, *numbers)
    others = [process for process in known if process.found.instance and process.found.id not in found]
    counted = {(row[0], row[1]): int(row[2]) for row in store.query(_COUNTED)} if others else {}
    for process in others:
        told = process.found
        spans = counted.get((told.service or "", told.instance or ""), 0)
        if spans:
            found[told.id] = _row(told.id, process.pid, told.service, told.instance, process.alive)
            found[told.id].update(stored=spans, recorded=None, waiting=None, in_flight=None, balanced=None)
    return list(found.values())


def _total(store: Reads, rows: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    """Of all that live, and of all that ended as far as the store goes back."""
    sums = Counter(dict.fromkeys(_NUMBERS, 0))
    dropped: Counter[str] = Counter()
    balanced = True
    for one in rows:
        if one["live"] is None:
            continue
        sums.update({name: one["live"][name] for name in _NUMBERS})
        dropped.update(one["live"]["dropped"])
        balanced &= one["balanced"]
    ended = 0
    for text, processes, recorded, stored, duplicates in store.query(_TOTAL, asked):
        lost = {reason: number * processes for reason, number in orjson.loads(text).items()}
        sums.update(recorded=int(recorded), stored=int(stored), duplicates=int(duplicates))
        dropped.update(lost)
        balanced &= int(recorded) == int(stored) + sum(lost.values())
        ended += processes
    return {**sums, "dropped": dict(dropped), "ended": ended, "balanced": bool(balanced)}


def _row(name: str, pid: int, service: str | None, instance: str | None, alive: bool) -> dict[str, Any]:
    return {
        "id": name,
        "pid": pid,
        "service": service or None,
        "instance": instance or None,
        "alive": alive,
        "ended_ns": None,
        "sent": None,
        **dict.fromkeys(_NUMBERS, 0),
        "dropped": {},
        "balanced": True,
        "live": None,
    }


def _add_live(one: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    live = {name: getattr(ledger, name) for name in _NUMBERS}
    lost = dict(ledger.lost)
    return {**one, **live, "sent": ledger.sent, "dropped": lost, "balanced": ledger.balanced,
            "live": {**live, "dropped": dict(lost)}}  # fmt: skip


def _add_ended(one: dict[str, Any], recorded: int, stored: int, dropped: str, duplicates: int) -> None:
    lost = orjson.loads(dropped)
    one["recorded"] += recorded
    one["stored"] += stored
    one["duplicates"] += duplicates
    one["dropped"] = dict(Counter(one["dropped"]) + Counter(lost))
    one["balanced"] = one["balanced"] and recorded == stored + sum(lost.values())
