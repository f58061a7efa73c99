# SPDX-License-Identifier: Apache-2.0
"""points: what histograms that arrived say, all processes together."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.support.sink import Sink, plain

Set = tuple[tuple[str, Any], ...]  # attributes in the order of their keys


def newest(sink: Sink, name: str) -> dict[tuple[str, Set], Any]:
    """The newest point of each process (its instance id) and attribute set; fails where a counter goes backwards."""
    found: dict[tuple[str, Set], Any] = {}
    for request in list(sink.metrics):
        for group in request.resource_metrics:
            instance = next(plain(a.value) for a in group.resource.attributes if a.key == "service.instance.id")
            for metric in (metric for scope in group.scope_metrics for metric in scope.metrics if metric.name == name):
                for point in metric.histogram.data_points:
                    key = instance, tuple(sorted((a.key, plain(a.value)) for a in point.attributes))
                    before = found.get(key)
                    assert before is None or point.time_unix_nano < before.time_unix_nano or point.count >= before.count
                    if before is None or point.time_unix_nano >= before.time_unix_nano:
                        found[key] = point
    return found


def counts(sink: Sink, name: str, *keys: str) -> Counter[tuple[Any, ...]]:
    """How many were counted, by the values of some attributes (None: it has none)."""
    total: Counter[tuple[Any, ...]] = Counter()
    for (_, attributes), point in newest(sink, name).items():
        assert sum(point.bucket_counts) == point.count
        total[tuple(dict(attributes).get(key) for key in keys)] += point.count
    return total
