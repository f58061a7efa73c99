# SPDX-License-Identifier: Apache-2.0
"""Ends that tell something: a signal, an exit code, or requests that were under way; and what came last before."""

from __future__ import annotations

from typing import Any

import orjson

from pillion_collector import ended
from pillion_collector.query import Reads, kind_of, status_of
from pillion_collector.query_containers import containers_of
from pillion_collector.query_params import Window
from pillion_collector.unfinished import UNFINISHED

LAST_SPANS = 10
_ENDS = """SELECT process, pid, service, instance, command, began_ns, time_ns, exit, recorded, stored, dropped, flights,
    duplicates FROM ends WHERE crash AND time_ns >= $begin AND time_ns < $end
    AND ($service IS NULL OR service = $service) ORDER BY time_ns DESC LIMIT $limit"""
_LAST = f"""SELECT instance, trace_id, span_id, name, kind, start_ns, duration_ns, status
    FROM spans JOIN (SELECT DISTINCT resource_id, instance FROM resources WHERE list_contains($instances, instance))
    USING (resource_id) WHERE start_ns >= $begin AND attribute(entries, '{UNFINISHED}') IS NULL
    QUALIFY row_number() OVER (PARTITION BY instance ORDER BY start_ns + duration_ns DESC) <= {LAST_SPANS}
    ORDER BY start_ns + duration_ns DESC"""


def crashes(store: Reads, window: Window, service: str | None, limit: int) -> dict[str, Any]:
    """Newest first."""
    asked = {"begin": window.begin_ns, "end": window.end_ns, "service": service, "limit": limit + 1}
    rows = store.query(_ENDS, asked)
    last = _last_spans(store, rows[:limit])
    containers = containers_of(store, (row[3] for row in rows[:limit]))
    found = [_crash(row, last.get(row[3], []), containers.get(row[3])) for row in rows[:limit]]
    return {"crashes": found, "truncated": len(rows) > limit}


def count(store: Reads) -> int:
    return int(store.query("SELECT count(*) FROM ends WHERE crash")[0][0])


def _last_spans(store: Reads, rows: list[tuple[Any, ...]]) -> dict[str, list[dict[str, Any]]]:
    instances = [row[3] for row in rows if row[3]]
    if not instances:
        return {}
    begin = min(row[5] for row in rows) - 10**9
    found: dict[str, list[dict[str, Any]]] = {}
    for instance, trace_id, span_id, name, kind, start, duration, status in store.query(
        _LAST, {"instances": instances, "begin": begin}
    ):
        one = {
            "trace_id": bytes(trace_id).hex(),
            "span_id": bytes(span_id).hex(),
            "name": name,
            "kind": kind_of(kind),
            "start_ns": str(start),
            "duration_ns": duration,
            "status": status_of(status),
        }
        found.setdefault(instance, []).append(one)
    return found


def _crash(row: tuple[Any, ...], last: list[dict[str, Any]], container: str | None) -> dict[str, Any]:
    name, pid, service, instance, command, began, time_ns, exit, recorded, stored, dropped, flights, duplicates = row
    how, lost = orjson.loads(exit), orjson.loads(dropped)
    requests = [{**one, "kind": kind_of(one["kind"])} for one in orjson.loads(flights)]
    return {
        "id": name,
        "pid": pid,
        "container": container,
        "service": service or None,
        "instance": instance or None,
        "command": command,
        "began_ns": str(began),
        "ended_ns": str(time_ns),
        "exit": how,
        "how": ended.text(how),
        "requests": requests,
        "last_spans": last,
        "recorded": recorded,
        "stored": stored,
        "dropped": lost,
        "duplicates": duplicates,
        "balanced": recorded == stored + sum(lost.values()),
    }
