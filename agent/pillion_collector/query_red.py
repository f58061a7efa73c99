# SPDX-License-Identifier: Apache-2.0
"""Requests, errors and durations of services from their histograms, for those whose traces are sampled.

Every process counts all its requests, whatever share of them become spans. A histogram of the window is the newest one
of each series minus the first one in it (or minus nothing, when it began in the window), so it never holds more than
what happened: where it counts more requests than there are spans, spans are a sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from pillion_collector.query import Reads
from pillion_collector.query_params import Window

METRIC = "http.server.request.duration"
CUMULATIVE_HISTOGRAM = "kind = 3 AND temporality = 2"
_POINTS = f"""
WITH owners AS (SELECT resource_id, any_value(service) AS service, any_value(instance) AS instance FROM resources
                GROUP BY resource_id),
     here AS (SELECT service, coalesce(instance, resource_id::VARCHAR) AS instance, resource_id, start_ns, time_ns,
                     attributes::VARCHAR AS labels, count, detail,
                     map_contains(attributes, 'error.type') AS failed
              FROM points JOIN owners USING (resource_id)
              WHERE name = '{METRIC}' AND {CUMULATIVE_HISTOGRAM} AND time_ns >= $begin AND time_ns < $end)
"""
_SERIES = (
    _POINTS
    + """
SELECT service, instance, failed, start_ns >= $begin, start_ns, min(time_ns), max(time_ns),
       arg_min(count, time_ns), arg_max(count, time_ns), arg_min(detail, time_ns), arg_max(detail, time_ns)
FROM here GROUP BY service, instance, failed, resource_id, start_ns, labels"""
)
_STEPS = (
    _POINTS
    + """,
     steps AS (SELECT service, failed, time_ns, count - coalesce(
                          lag(count) OVER (PARTITION BY resource_id, start_ns, labels ORDER BY time_ns),
                          CASE WHEN start_ns >= $begin THEN 0 ELSE count END) AS more FROM here)
SELECT service, least((time_ns - $begin) // $step, $last) AS bucket, sum(more)::BIGINT,
       coalesce(sum(more) FILTER (failed), 0)::BIGINT
FROM steps GROUP BY ALL HAVING sum(more) > 0"""
)


@dataclass
class Requests:
    """One service's requests in a window."""

    count: int = 0
    errors: int = 0
    first_ns: int = 0  # what was counted lies between these
    last_ns: int = 0
    instances: set[str] = field(default_factory=set)
    buckets: dict[tuple[float, ...], list[int]] = field(default_factory=dict)  # by their bounds, in seconds

    def add(self, row: tuple[Any, ...]) -> None:
        """One series."""
        _, instance, failed, is_new, start, first, last, before, after, old, new = row
        before, old = (0, None) if is_new else (before, old)
        self.instances.add(instance)
        self.count += after - before
        self.errors += (after - before) if failed else 0
        begun = start if is_new else first
        self.first_ns = min(self.first_ns or begun, begun)
        self.last_ns = max(self.last_ns, last)
        detail = orjson.loads(new)
        counts = self.buckets.setdefault(tuple(detail["bounds"]), [0] * len(detail["buckets"]))
        less = orjson.loads(old)["buckets"] if old else [0] * len(counts)
        for at, (one, other) in enumerate(zip(detail["buckets"], less, strict=False)):
            counts[at] += int(one) - int(other)

    def seconds(self) -> float:
        """How long it was counted."""
        return max(1.0, (self.last_ns - self.first_ns) / 1e9)

    def quantile_ns(self, share: float) -> int | None:
        """Within its bucket the durations are taken to lie evenly; beyond the last bound nothing is known."""
        if len(self.buckets) != 1 or self.count <= 0:
            return None
        ((bounds, counts),) = self.buckets.items()
        wanted, seen = share * sum(counts), 0
        for at, count in enumerate(counts):
            if count > 0 and seen + count >= wanted:
                low, high = (bounds[at - 1] if at else 0.0), bounds[min(at, len(bounds) - 1)]
                return round((low + (high - low) * (wanted - seen) / count) * 1e9)
            seen += count
        return None


def requests(store: Reads, window: Window) -> dict[str, Requests]:
    """Every service whose processes counted requests in the window."""
    found: dict[str, Requests] = {}
    for row in store.query(_SERIES, {"begin": window.begin_ns, "end": window.end_ns}):
        found.setdefault(row[0], Requests()).add(row)
    return found


def sparks(store: Reads, window: Window, step: int, last: int) -> dict[str, dict[int, tuple[int, int]]]:
    """Requests and errors of each service in each stretch of `step` ns, by when they were told of."""
    found: dict[str, dict[int, tuple[int, int]]] = {}
    bounds = {"begin": window.begin_ns, "end": window.end_ns, "step": step, "last": last}
    for service, bucket, count, errors in store.query(_STEPS, bounds):
        found.setdefault(service, {})[bucket] = (count, errors)
    return found


def told(one: Requests) -> dict[str, Any]:
    """The fields of a service that spans would tell, were there all of them."""
    return {
        "requests": one.count,
        "errors": one.errors,
        "rate": round(one.count / one.seconds(), 6),
        "error_rate": round(one.errors / one.count, 6) if one.count else 0.0,
        "p50_ns": one.quantile_ns(0.5),
        "p95_ns": one.quantile_ns(0.95),
        "p99_ns": one.quantile_ns(0.99),
        "source": "metrics",
    }
