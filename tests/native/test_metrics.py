# SPDX-License-Identifier: Apache-2.0
"""Runtime metrics decode with opentelemetry-proto: names, units, cumulative sums, histograms, the overflow point."""

from __future__ import annotations

import subprocess

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, HistogramDataPoint, Metric

from tests.native.build import tool

START_NS, NOW_NS = 10**9, 9 * 10**9
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def encoded(what: str, *capacity: str) -> tuple[int, bytes, int]:
    ended = subprocess.run([str(tool("tool_metrics")), what, *capacity], capture_output=True, timeout=60)
    assert ended.stderr.isdigit(), ended.stderr.decode(errors="replace")
    return ended.returncode, ended.stdout, int(ended.stderr)


def metrics(what: str) -> dict[str, Metric]:
    request = ExportMetricsServiceRequest.FromString(encoded(what)[1])
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    assert resource.resource.attributes[0].value.string_value == "s"
    assert scope.scope.name == "pillion.runtime" and scope.schema_url.startswith("https://opentelemetry.io/schemas/")
    return {metric.name: metric for metric in scope.metrics}


def test_counters_are_cumulative_monotonic_sums_by_generation() -> None:
    metric = metrics("usual")["cpython.gc.collections"]
    assert metric.unit == "{collection}" and metric.description
    assert metric.sum.is_monotonic and metric.sum.aggregation_temporality == CUMULATIVE
    found = {point.attributes[0].value.int_value: point.as_int for point in metric.sum.data_points}
    assert found == {0: 101, 1: 51, 2: 26}
    for point in metric.sum.data_points:
        assert (point.start_time_unix_nano, point.time_unix_nano) == (START_NS, NOW_NS)
        assert [one.key for one in point.attributes] == ["cpython.gc.generation"]


def test_gauge_like_metric_has_the_value_that_was_set_last() -> None:
    metric = metrics("usual")["pillion.thread.count"]
    assert not metric.sum.is_monotonic and metric.sum.aggregation_temporality == CUMULATIVE
    assert [point.as_int for point in metric.sum.data_points] == [5]


def test_histogram_counts_each_measurement_in_its_bucket() -> None:
    metric = metrics("usual")["pillion.gc.pause"]
    assert metric.unit == "s" and metric.histogram.aggregation_temporality == CUMULATIVE
    assert len(metric.histogram.data_points) == 3
    for point in metric.histogram.data_points:
        bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
        assert len(counts) == len(bounds) + 1 and bounds == sorted(bounds)
        assert counts[bounds.index(0.0005)] == 2 and counts[-1] == 1 and sum(counts) == point.count == 3
        assert point.sum == pytest.approx(1e9 + 0.0007)


def test_metric_without_points_is_left_out_and_an_empty_registry_is_nothing() -> None:
    assert set(metrics("usual")) == {
        "cpython.gc.collections",
        "cpython.gc.collected_objects",
        "pillion.gc.pause",
        "pillion.thread.count",
    }
    assert encoded("nothing") == (0, b"", 0)


def test_too_many_attribute_sets_meet_in_one_overflow_point_and_nothing_is_lost() -> None:
    found = metrics("too_many")
    points = found["cpython.gc.collections"].sum.data_points
    overflow = [point for point in points if point.attributes[0].key == "otel.metric.overflow"]
    assert len(points) == 65 and len(overflow) == 1 and overflow[0].attributes[0].value.bool_value
    assert sum(point.as_int for point in points) == 1000
    assert found["pillion.eventloop.lag"].histogram.data_points[0].count == 1


def test_text_labels_are_kept_apart_and_cut_between_characters() -> None:
    points = metrics("texts")["cpython.gc.collections"].sum.data_points
    found = {point.attributes[0].value.string_value: point.as_int for point in points}
    assert found == {"full": 2, "0123456789" * 6 + "0世": 5}


@pytest.mark.parametrize("capacity", [0, 1, 20, 300, 1500])
def test_request_that_does_not_fit_is_not_cut(capacity: int) -> None:
    assert encoded("usual", str(capacity))[:2] == (2, b"")


def requests(capacity: int) -> list[ExportMetricsServiceRequest]:
    """What the tool wrote for `requests`: each request behind a line with its length."""
    code, rest, points = encoded("requests", str(capacity))
    assert code == 0 and points == 1500 + 1 + 2000
    found = []
    while rest:
        line, _, rest = rest.partition(b"\n")
        assert int(line) <= capacity
        found.append(ExportMetricsServiceRequest.FromString(rest[: int(line)]))
        rest = rest[int(line) :]
    return found


@pytest.mark.parametrize("capacity", [4000, 20_000, 262_128, 3_670_016])
def test_histograms_of_requests_arrive_whole_in_as_many_messages_as_it_takes(capacity: int) -> None:
    messages = requests(capacity)
    assert (len(messages) == 1) == (capacity > 2_000_000)
    points: dict[str, list[HistogramDataPoint]] = {}
    for message in messages:
        (resource,) = message.resource_metrics
        (scope,) = resource.scope_metrics
        assert scope.scope.name == "pillion.requests" and resource.resource.attributes[0].value.string_value == "s"
        for metric in scope.metrics:
            assert metric.unit == "s" and metric.histogram.aggregation_temporality == CUMULATIVE
            points.setdefault(metric.name, []).extend(metric.histogram.data_points)
    server = points.pop("http.server.request.duration")
    routes = {next(a.value.string_value for a in p.attributes if a.key == "http.route"): p for p in server}
    assert len(routes) == len(server) == 1500 and all(point.count == 1 for point in server)
    point = routes["/route/7/<id>"]
    assert [a.key for a in point.attributes] == ["http.request.method", "http.response.status_code", "http.route"]
    assert point.bucket_counts[list(point.explicit_bounds).index(0.025)] == 1 and point.sum == 0.02
    assert (point.start_time_unix_nano, point.time_unix_nano) == (START_NS, NOW_NS)
    (call,) = points.pop("db.client.operation.duration")
    assert {a.key: a.value.string_value for a in call.attributes} == {
        "db.system.name": "sqlite",
        "error.type": "sqlite3.Error",
    }
    client = points.pop("http.client.request.duration")
    (overflow,) = [p for p in client if p.attributes[0].key == "otel.metric.overflow"]
    assert overflow.attributes[0].value.bool_value and not points
    assert len(client) == 2000 and overflow.count == 101 and sum(p.count for p in client) == 2100
