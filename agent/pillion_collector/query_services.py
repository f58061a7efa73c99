# SPDX-License-Identifier: Apache-2.0
"""Services with rate, errors and percentiles, and their operations.

A request is an entry span: SERVER or CONSUMER, or a root where a service has neither. The rate is over the time since
the first span of the window, so that a store of one minute does not show a sixtieth of the truth. Where spans are a
sample, the processes' own histograms tell (query_red.py).
"""

from __future__ import annotations

from typing import Any

from pillion_collector import query_red
from pillion_collector.query import Reads, kind_of
from pillion_collector.query_params import Window

BUCKETS = 30
_ENTRIES = """
WITH seen AS (SELECT service, resource_id, kind, status, duration_ns, start_ns, parent_id FROM spans
              WHERE start_ns >= $begin AND start_ns < $end),
     entered AS (SELECT service, bool_or(kind IN (2, 5)) AS has FROM seen GROUP BY service),
     entries AS (SELECT seen.* FROM seen JOIN entered USING (service)
                 WHERE CASE WHEN has THEN kind IN (2, 5) ELSE parent_id IS NULL END)
"""
_SERVICES = (
    _ENTRIES
    + """,
     sums AS (SELECT service, count(*) AS requests, count(*) FILTER (status = 2) AS errors,
                     quantile_cont(duration_ns, [0.5, 0.95, 0.99]) AS p FROM entries GROUP BY service),
     every AS (SELECT service, count(*) AS spans, max(start_ns + duration_ns) AS last, min(start_ns) AS first,
                      list(DISTINCT resource_id) AS resources FROM seen GROUP BY service)
SELECT service, coalesce(requests, 0), coalesce(errors, 0), p, spans, last, first, resources
FROM every LEFT JOIN sums USING (service) ORDER BY service"""
)
_SPARKS = (
    _ENTRIES
    + """
SELECT service, least((start_ns - $begin) // $step, $last) AS bucket, count(*), count(*) FILTER (status = 2)
FROM entries GROUP BY ALL"""
)


def services(store: Reads, window: Window) -> dict[str, Any]:
    """Every service that was seen in the window, busiest first."""
    bounds = {"begin": window.begin_ns, "end": window.end_ns}
    rows = store.query(_SERVICES, bounds)
    step = max(1, (window.end_ns - window.begin_ns) // BUCKETS)
    sparks: dict[str, dict[int, tuple[int, int]]] = {}
    for name, bucket, requests, errors in store.query(_SPARKS, {**bounds, "step": step, "last": BUCKETS - 1}):
        sparks.setdefault(name, {})[bucket] = (requests, errors)
    seconds = max(1.0, (window.end_ns - min((row[6] for row in rows), default=window.begin_ns)) / 1e9)
    instances = _instances(store)
    found = [_service(row, seconds, instances) for row in rows]
    counted = {name: one for name, one in query_red.requests(store, window).items() if one.count > 0}
    known = {one["name"]: one for one in found}
    for name, more in counted.items():
        one = known.get(name) or _unseen(name, more)
        if more.count > one["requests"]:
            one.update(query_red.told(more))
        if name not in known:
            found.append(one)
    exact = query_red.sparks(store, window, step, BUCKETS - 1) if counted else {}
    for one in found:
        steps = exact if one["source"] == "metrics" else sparks
        one["sparkline"] = _sparkline(steps.get(one["name"], {}), window.begin_ns, step)
    found.sort(key=lambda one: -one["requests"])
    return {"from": str(window.begin_ns), "to": str(window.end_ns), "services": found}


def operations(store: Reads, window: Window, service: str | None) -> dict[str, Any]:
    """Names of spans, busiest first; at most 1,000."""
    rows = store.query(
        "SELECT service, name, kind, count(*) FROM spans WHERE start_ns >= $begin AND start_ns < $end"
        " AND ($service IS NULL OR service = $service) GROUP BY ALL ORDER BY count(*) DESC, name LIMIT 1000",
        {"begin": window.begin_ns, "end": window.end_ns, "service": service},
    )
    return {
        "operations": [{"service": row[0], "name": row[1], "kind": kind_of(row[2]), "spans": row[3]} for row in rows]
    }


def _instances(store: Reads) -> dict[int, str]:
    return {row[0]: row[1] for row in store.query("SELECT resource_id, instance FROM resources")}


def _service(row: tuple[Any, ...], seconds: float, instances: dict[int, str]) -> dict[str, Any]:
    name, requests, errors, percentiles, spans, last, _, resources = row
    p50, p95, p99 = (round(one) for one in percentiles) if percentiles else (None, None, None)
    return {
        "name": name,
        "requests": requests,
        "errors": errors,
        "rate": round(requests / seconds, 6),
        "error_rate": round(errors / requests, 6) if requests else 0.0,
        "p50_ns": p50,
        "p95_ns": p95,
        "p99_ns": p99,
        "instances": len({instances.get(one) or str(one) for one in resources}),
        "spans": spans,
        "last_ns": str(last),
        "source": "spans",
    }


def _unseen(name: str, counted: query_red.Requests) -> dict[str, Any]:
    """A service that has no span in the window."""
    seen = {"instances": len(counted.instances), "spans": 0, "last_ns": str(counted.last_ns)}
    return {"name": name, "requests": 0, **seen, "source": "metrics"}


def _sparkline(buckets: dict[int, tuple[int, int]], begin_ns: int, step: int) -> list[dict[str, Any]]:
    empty = (0, 0)
    return [
        {
            "t": str(begin_ns + index * step),
            "requests": buckets.get(index, empty)[0],
            "errors": buckets.get(index, empty)[1],
        }
        for index in range(BUCKETS)
    ]
