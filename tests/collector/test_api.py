# SPDX-License-Identifier: Apache-2.0
"""The JSON API of a real collector, fed by the reference SDK: every route, its filters, what nonsense gets."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import orjson
import psutil
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context

from tests.collector.conftest import Running, Start, eventually

MS = 10**6


class Shop:
    """An application with the reference SDK, sending to one collector."""

    def __init__(self, target: str, service: str = "shop", compression: Any = None, **resource: Any) -> None:
        created = datetime.fromtimestamp(psutil.Process().create_time(), UTC).isoformat()
        told = {"service.name": service, "service.instance.id": f"{service}-1", "process.pid": os.getpid(),
                "process.creation.time": created, **resource}  # fmt: skip
        self.provider = TracerProvider(resource=Resource(told))
        exporter = OTLPSpanExporter(endpoint=target, insecure=True, compression=compression, timeout=30)
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self.provider.get_tracer("shop.web", "1.2.3")
        self.base = time.time_ns() - 60 * 10**9

    def request(self, name: str, start_ms: int, length_ms: int, error: bool = False, **attributes: Any) -> str:
        """A server span with a database call in it; the trace's id."""
        start = self.base + start_ms * MS
        told = {key.replace("__", "."): value for key, value in attributes.items()}
        root = self.tracer.start_span(name, kind=SpanKind.SERVER, start_time=start, attributes=told)
        child = self.tracer.start_span("SELECT cart", set_span_in_context(root), SpanKind.CLIENT, start_time=start + MS)
        child.add_event("fetched", {"rows": 3}, start + 2 * MS)
        child.end(start + 3 * MS)
        if error:
            root.set_status(StatusCode.ERROR, "the till is jammed")
        root.end(start + length_ms * MS)
        return f"{root.get_span_context().trace_id:032x}"

    def flush(self) -> None:
        assert self.provider.force_flush(30_000)

    def close(self) -> None:
        self.provider.shutdown()


@pytest.fixture
def shop(collector: Running) -> Iterator[Shop]:
    one = Shop(collector.grpc)
    yield one
    one.close()


def found(collector: Running, query: str = "") -> list[str]:
    answer = collector.get(f"/api/traces?{query}")
    return [one["trace_id"] for one in answer["traces"]]


def test_a_span_is_visible_at_once_and_whole(collector: Running, shop: Shop) -> None:
    other = SpanContext(0x77, 0x88, is_remote=True, trace_flags=TraceFlags(1))
    values: dict[str, Any] = {
        "s": "ü\0</script>",
        "i": -(2**62),
        "f": 1.5,
        "t": True,
        "ls": ["a", "b"],
        "li": [1, 2],
        "by": b"\x00\xff",
    }
    span = shop.tracer.start_span(
        "GET /cart", kind=SpanKind.SERVER, attributes=values, links=[Link(other, {"why": "retry"})]
    )
    span.record_exception(ValueError("no such cart"))
    span.set_status(StatusCode.ERROR, "no such cart")
    span.end()
    shop.flush()
    trace_id = f"{span.get_span_context().trace_id:032x}"
    answer = collector.get(f"/api/traces/{trace_id}")
    (one,) = answer["spans"]
    assert (one["name"], one["kind"], one["service"], one["status"]) == ("GET /cart", "SERVER", "shop", "error")
    assert one["status_message"] == "no such cart" and one["parent_id"] is None
    assert one["attributes"] == {**values, "by": {"bytes": "AP8="}}
    assert one["scope"] == {"name": "shop.web", "version": "1.2.3"}
    assert (one["instance"], one["pid"]) == ("shop-1", os.getpid())
    (event,) = one["events"]
    assert event["name"] == "exception" and event["attributes"]["exception.message"] == "no such cart"
    assert int(event["time_ns"]) >= int(one["start_ns"])
    (link,) = one["links"]
    assert (link["trace_id"], link["span_id"], link["attributes"]) == (f"{0x77:032x}", f"{0x88:016x}", {"why": "retry"})
    assert answer["resources"][one["resource_id"]]["service.name"] == "shop"
    assert answer["start_ns"] == one["start_ns"] and answer["duration_ns"] == one["duration_ns"]


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_the_sdk_sends_over_the_unix_socket_too(collector: Running, compression: Any) -> None:
    shop = Shop(f"unix:{collector.socket}", compression=compression)
    trace_id = shop.request("GET /", 0, 5)
    shop.flush()
    shop.close()
    assert len(collector.get(f"/api/traces/{trace_id}")["spans"]) == 2


def test_traces_are_found_by_each_filter_and_by_all_together(collector: Running, shop: Shop) -> None:
    cart = shop.request("GET /cart", 0, 10, http__route="/cart", n=5)
    slow = shop.request("GET /slow", 1000, 900, http__route="/slow", n=7, ok=True)
    bad = shop.request("POST /pay", 2000, 20, error=True, http__route="/pay", note='Größe "42"')
    shop.flush()
    assert found(collector) == [bad, slow, cart]
    assert found(collector, "order=slowest") == [slow, bad, cart]
    assert found(collector, "status=error") == [bad]
    assert found(collector, "status=ok") == [slow, cart]
    assert found(collector, "operation=GET+/cart") == [cart]
    assert found(collector, "service=shop&operation=SELECT+cart&limit=2") == [bad, slow]
    assert found(collector, "service=nobody") == []
    assert found(collector, f"min_ns={100 * MS}") == [slow]
    assert found(collector, f"max_ns={15 * MS}") == [cart]
    assert found(collector, "attribute=http.route=/slow") == [slow]
    assert found(collector, "attribute=n=5") == [cart]
    assert found(collector, "attribute=ok=true") == [slow]
    assert found(collector, "attribute=service.instance.id=shop-1&attribute=n=7") == [slow]
    assert found(collector, "attribute=http.route=/slow&attribute=n=5") == []
    assert found(collector, "q=JAMMED") == [bad]
    assert found(collector, "q=gr%C3%B6%C3%9Fe+%2242") == [bad]
    assert found(collector, "q=rows") == [bad, slow, cart]
    assert found(collector, f"q={cart[:12]}") == [cart]
    assert found(collector, "q=' OR 1=1 --".replace(" ", "+")) == []
    assert found(collector, f"from={shop.base + 500 * MS}&to={shop.base + 1500 * MS}") == [slow]
    assert found(collector, "from=-30s") == []
    assert found(collector, f"status=ok&min_ns={100 * MS}&attribute=ok=true&q=slow&service=shop&order=slowest") == [
        slow
    ]


def test_a_row_of_the_search_tells_the_trace_in_short(collector: Running, shop: Shop) -> None:
    shop.request("POST /pay", 0, 20, error=True)
    shop.flush()
    answer = collector.get("/api/traces?limit=1")
    assert answer["truncated"] is False
    (one,) = answer["traces"]
    del one["trace_id"]
    assert one == {
        "root_name": "POST /pay",
        "root_service": "shop",
        "start_ns": str(shop.base),
        "duration_ns": 20 * MS,
        "spans": 2,
        "errors": 1,
        "services": [{"name": "shop", "spans": 2}],
        "status": "error",
    }
    shop.request("POST /pay", 0, 20)
    shop.flush()
    assert collector.get("/api/traces?limit=1")["truncated"] is True


def test_services_have_rate_errors_and_percentiles_of_their_entry_spans(collector: Running, shop: Shop) -> None:
    for at in range(100):
        shop.request("GET /", at * 100, at + 5, error=at < 10)
    shop.flush()
    batch = Shop(collector.grpc, "batch")
    batch.tracer.start_span("job", start_time=batch.base).end(batch.base + 7 * MS)
    batch.flush()
    batch.close()
    answer = collector.get("/api/services?from=-10m")
    first, second = answer["services"]
    assert (first["name"], first["requests"], first["errors"], first["error_rate"]) == ("shop", 100, 10, 0.1)
    assert (first["spans"], first["instances"]) == (200, 1)
    assert abs(first["p50_ns"] - 54.5 * MS) <= MS and abs(first["p99_ns"] - 103 * MS) <= 2 * MS
    assert 0.9 < first["rate"] < 2  # 100 requests in the minute since the first of them
    assert (second["name"], second["requests"], second["p95_ns"]) == ("batch", 1, 7 * MS)
    assert len(first["sparkline"]) == 30
    assert sum(one["requests"] for one in first["sparkline"]) == 100
    assert sum(one["errors"] for one in first["sparkline"]) == 10
    kinds = {(one["name"], one["kind"]) for one in collector.get("/api/operations?service=shop")["operations"]}
    assert kinds == {("GET /", "SERVER"), ("SELECT cart", "CLIENT")}


def test_a_trace_is_found_by_the_first_digits_of_its_id(collector: Running, shop: Shop) -> None:
    trace_id = shop.request("GET /", 0, 5)
    shop.flush()
    assert collector.get(f"/api/traces/{trace_id[:8]}")["trace_id"] == trace_id
    assert collector.get(f"/api/traces/{trace_id.upper()}")["trace_id"] == trace_id
    status, body, _ = collector.fetch(f"/api/traces/{'0' * 31}1")
    assert status == 404 and orjson.loads(body)["parameter"] == "id"


BAD = {
    "limit": ("traces?limit=0", "traces?limit=1001", "traces?limit=-1", "traces?limit=1e3", "operations?limit=5"),
    "status": ("traces?status=bad",),
    "order": ("traces?order=oldest",),
    "min_ns": ("traces?min_ns=1.5",),
    "max_ns": (f"traces?max_ns={2**63}",),
    "attribute": ("traces?attribute=a", "traces?attribute==a", f"traces?attribute=a={'x' * 1000}"),
    "from": ("traces?from=yesterday", "traces?from=-5m&to=-10m", f"services?from={10**20}", "processes?to=0"),
    "to": ("traces?to=-5y",),
    "q": (f"traces?q={'x' * 1001}",),
    "servce": ("traces?servce=shop",),
    "id": ("traces/zz", "traces/abc", f"traces/{'a' * 33}"),
    "x": ("stats?x=1",),
}


@pytest.mark.parametrize(("parameter", "path"), [(name, path) for name, paths in BAD.items() for path in paths])
def test_a_bad_parameter_is_named(shared: Running, path: str, parameter: str) -> None:
    status, body, headers = shared.fetch("/api/" + path)
    told = orjson.loads(body)
    assert (status, told["parameter"]) == (400, parameter)
    assert told["error"] and headers["content-type"] == "application/json"


def test_unknown_paths_and_other_methods_are_refused(shared: Running) -> None:
    assert shared.fetch("/api/nothing")[0] == 404
    assert shared.fetch("/nothing.js")[0] == 404
    assert shared.fetch("/../../etc/passwd")[0] == 404
    assert shared.fetch("/%2e%2e/%2e%2e/api.py")[0] == 404
    assert shared.fetch("/api/processes/1-2/metrics")[0] == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4320", "127.0.0.1.evil.example", "10.0.0.1", "", "[::1", "a b"]
)
def test_a_foreign_host_name_is_refused(shared: Running, host: str) -> None:
    status, body, _ = shared.fetch("/api/stats", Host=host)
    assert status in (400, 403) and b"collector" not in body


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1234", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:4320", "[::1]:80", "shop.localhost"]
)
def test_names_of_this_machine_are_served(shared: Running, host: str) -> None:
    assert shared.fetch("/api/stats", Host=host)[0] == 200


def test_every_answer_forbids_foreign_scripts_and_grants_no_origin(shared: Running) -> None:
    for path in ("/api/stats", "/healthz", "/api/nothing", "/metrics", "/"):
        headers = {key.lower(): value for key, value in shared.fetch(path, Origin="http://evil.example")[2].items()}
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert not any(name.startswith("access-control") for name in headers)


def test_large_answers_are_gzipped_for_those_who_ask(collector: Running, shop: Shop) -> None:
    for at in range(400):
        shop.request("GET /", at, 5)
    shop.flush()
    assert collector.fetch("/api/traces?limit=400", Accept_Encoding="gzip")[2].get("content-encoding") == "gzip"
    assert "content-encoding" not in collector.fetch("/api/traces?limit=400")[2]
    assert "content-encoding" not in collector.fetch("/api/traces?limit=1", Accept_Encoding="gzip")[2]


def test_a_trace_of_5000_spans_is_answered_whole(collector: Running, shop: Shop) -> None:
    root = shop.tracer.start_span("root", start_time=shop.base)
    for at in range(4999):
        attributes: dict[str, Any] = {"at": at, "http.route": "/x", "db.query.text": "SELECT ?"}
        span = shop.tracer.start_span(
            f"child {at}", set_span_in_context(root), start_time=shop.base + at, attributes=attributes
        )
        span.end(shop.base + at + 10)
        if at % 1000 == 0:
            shop.flush()
    root.end(shop.base + 10**9)
    shop.flush()
    answer = collector.get(f"/api/traces/{root.get_span_context().trace_id:032x}")
    assert len(answer["spans"]) == 5000 and answer["truncated"] is False
    assert [int(one["start_ns"]) for one in answer["spans"]] == sorted(int(one["start_ns"]) for one in answer["spans"])


def test_nested_odd_and_repeated_values_are_plain_json(collector: Running) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"t" * 16, b"s" * 8, "odd"
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    nested = span.attributes.add(key="nested").value.kvlist_value.values.add(key='k"e\ny').value
    nested.array_value.values.add().double_value = float("nan")
    span.attributes.add(key="empty")
    span.attributes.add(key="inf").value.double_value = float("-inf")
    span.attributes.add(key='{"kvlist":').value.string_value = '{"kvlist":{}}'
    with grpc.insecure_channel(collector.grpc) as channel:
        export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        for _ in range(2):  # again, as after an acknowledgement that was lost
            assert export(request.SerializeToString(), timeout=60) == b""
    (one,) = collector.get(f"/api/traces/{(b't' * 16).hex()}")["spans"]
    assert one["attributes"] == {
        "nested": {'k"e\ny': ["NaN"]},
        "empty": None,
        "inf": "-Infinity",
        '{"kvlist":': '{"kvlist":{}}',
    }


def test_processes_and_their_metrics_stand_beside_the_spans(collector: Running, shop: Shop) -> None:
    shop.request("GET /", 0, 5)
    shop.flush()
    assert eventually(lambda: collector.get("/api/processes")["processes"])
    (one,) = collector.get("/api/processes")["processes"]
    assert (one["pid"], one["service"], one["instance"], one["alive"], one["spans"]) == (
        os.getpid(),
        "shop",
        "shop-1",
        True,
        2,
    )
    assert (
        one["memory_bytes"] > 10**6
        and one["threads"] >= 1
        and one["parent_pid"] == os.getppid()
        and one["exit"] is None
    )
    path = f"/api/processes/{one['id']}/metrics"
    assert eventually(lambda: collector.get(path)["metrics"])
    metrics = {(each["name"], *each["attributes"].values()): each for each in collector.get(path)["metrics"]}
    memory = metrics["process.memory.usage",]
    assert (memory["unit"], memory["kind"], memory["monotonic"]) == ("By", "sum", False)
    assert memory["points"][0][1] > 10**6 and int(memory["points"][0][0]) > shop.base
    assert metrics["process.cpu.time", "user"]["unit"] == "s"
    only = collector.get(path + "?names=process.uptime,process.thread.count")["metrics"]
    assert {each["name"] for each in only} == {"process.uptime", "process.thread.count"}


def test_stats_and_metrics_count_what_came_in(collector: Running, shop: Shop) -> None:
    shop.request("GET /", 0, 5)
    shop.flush()
    told = collector.get("/api/stats")["collector"]
    assert told["received"]["traces"] == 2 and told["refused"] == {} and told["uptime_s"] > 0 and told["version"]
    status, body, headers = collector.fetch("/metrics")
    lines = body.decode().splitlines()
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "pillion_receiver_accepted_spans_total 2" in lines
    assert 'pillion_service_duration_seconds{service_name="shop",quantile="0.5"} 0.005' in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_live_events_tell_of_a_commit_without_being_asked_again(collector: Running, shop: Shop) -> None:
    with urllib.request.urlopen(collector.ui + "/api/live", timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert _event(stream)["spans"] == 0
        shop.request("GET /", 0, 5)
        shop.flush()
        told = _event(stream)
    assert (told["spans"], told["services"]) == (2, 1)
    assert int(told["newest_ns"]) == shop.base + 5 * MS


def _event(stream: Any) -> dict[str, Any]:
    for line in stream:
        if line.startswith(b"data: "):
            found: dict[str, Any] = orjson.loads(line[6:])
            return found
    raise AssertionError("the stream ended")


def test_what_was_stored_is_there_after_a_restart(start: Start) -> None:
    first = start()
    shop = Shop(first.grpc)
    trace_id = shop.request("GET /", 0, 5)
    shop.flush()
    shop.close()
    assert first.stop() == (0, "")
    second = start()
    assert len(second.get(f"/api/traces/{trace_id}")["spans"]) == 2
