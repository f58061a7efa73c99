# SPDX-License-Identifier: Apache-2.0
"""The processes of the node as the API shows them, and the metrics of one.

Life and last values come from the process reader; spans and points from the store, matched by service and instance, so
that what a process measures of itself stands beside what the collector measured of it.
"""

from __future__ import annotations

from typing import Any

from pillion_collector.processes_known import Process
from pillion_collector.query import Reads, attributes_of
from pillion_collector.query_params import Window

POINTS = 720  # of one series: an hour at 5 s; longer windows are thinned to the last value of each part
_KINDS = {1: "gauge", 2: "sum", 3: "histogram", 4: "histogram", 5: "summary"}
_METRICS = """
SELECT name, unit, kind, CAST(attributes AS VARCHAR) AS series, arg_max(attributes, time_ns),
       (time_ns - $begin) // $step AS part, max(time_ns), arg_max(coalesce(value_double, value_int, sum), time_ns),
       arg_max(value_int, time_ns), arg_max(count, time_ns), bool_or(CAST(monotonic AS BOOLEAN))
FROM points WHERE time_ns >= $begin AND time_ns < $end
  AND resource_id IN (SELECT resource_id FROM resources WHERE instance = $instance AND service = $service)
  AND ($names IS NULL OR list_contains($names, name))
GROUP BY name, unit, kind, series, part ORDER BY name, series, part"""


def processes(store: Reads, known: list[Process], window: Window) -> dict[str, Any]:
    """Every known process, alive first. Spans are those of the window."""
    rows = store.query(
        "SELECT r.service, r.instance, sum(s.spans) FROM"
        " (SELECT resource_id, count(*) AS spans FROM spans WHERE start_ns >= ? AND start_ns < ? GROUP BY ALL) s"
        " JOIN (SELECT DISTINCT resource_id, service, instance FROM resources) r USING (resource_id) GROUP BY ALL",
        [window.begin_ns, window.end_ns],
    )
    spans = {(row[0], row[1]): int(row[2]) for row in rows if row[1]}
    crashed = {row[0] for row in store.query("SELECT DISTINCT process FROM ends WHERE crash")}
    return {
        "processes": [
            describe(one, spans.get((one.found.service, one.found.instance), 0), one.found.id in crashed)
            for one in known
        ]
    }


def describe(process: Process, spans: int, crash: bool) -> dict[str, Any]:
    found, sample = process.found, process.sample if process.alive else None
    return {
        "id": found.id,
        "pid": process.pid,
        "own_pid": found.who.pid,
        "pid_namespace": found.who.namespace or None,
        "container": process.container,
        "hidden": process.hidden,
        "denied": sorted(sample.denied) if sample else [],
        "service": found.service,
        "instance": found.instance,
        "command": found.command or (sample.stat.name if sample else ""),
        "python": found.python,
        "alive": process.alive,
        "started_ns": None if process.started_ns is None else str(process.started_ns),
        "ended_ns": None if process.ended_ns is None else str(process.ended_ns),
        "exit": process.exit,
        "crash": crash and not process.alive,
        "decision": found.decision,
        "reason": found.reason,
        "cpu": process.cpu if process.alive else None,
        "memory_bytes": sample and sample.value("process.memory.usage"),
        "threads": sample and sample.value("process.thread.count"),
        "fds": sample and sample.value("process.unix.file_descriptor.count"),
        "parent_pid": process.parent_pid,
        "spans": spans,
    }


def metrics(store: Reads, process: Process, names: list[str] | None, window: Window) -> dict[str, Any]:
    """Every series of the process's resource. A monotonic sum stays a running total: differences are the reader's."""
    found = process.found
    if not found.instance:
        return {"id": found.id, "metrics": []}
    step = max(1, (window.end_ns - window.begin_ns) // POINTS)
    rows = store.query(
        _METRICS,
        {
            "begin": window.begin_ns,
            "end": window.end_ns,
            "step": step,
            "names": names,
            "instance": found.instance,
            "service": found.service or "",
        },
    )
    series: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, unit, kind, text, attributes, _, time_ns, value, whole, count, monotonic in rows:
        one = series.setdefault(
            (name, unit, kind, text),
            {
                "name": name,
                "unit": unit,
                "kind": _KINDS.get(kind, str(kind)),
                "monotonic": bool(monotonic),
                "attributes": attributes_of(attributes),
                "points": [],
            },
        )
        shown = whole if whole is not None else value
        one["points"].append([str(time_ns), shown] if kind in (1, 2) else [str(time_ns), shown, count])
    return {"id": found.id, "metrics": list(series.values())}
