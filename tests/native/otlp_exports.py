# SPDX-License-Identifier: Apache-2.0
"""Requests as OpenTelemetry's SDK and its OTLP encoders make them, with every field that they can carry."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

EVERY_TYPE: dict[str, Any] = {
    "over the limit": 1,
    "over it too": 2,
    "text": "grüße",
    "empty": "",
    "yes": True,
    "no": False,
    "int": -7,
    "double": 2.0,
    "texts": ["a", "b"],
    "ints": [1, 2],
    "doubles": [0.5, 1.0],
    "bools": [True, False],
    "none of it": [],
}
RESOURCE = {"service.name": "shop", "service.instance.id": "one", "process.pid": 4711, "host.cpus": 2.5}


def traces() -> ExportTraceServiceRequest:
    """Spans of two scopes: every kind, status, attribute type, events, links, limits that drop, a remote parent."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource(RESOURCE, schema_url="https://example.org/resource"),
        span_limits=SpanLimits(max_span_attributes=16, max_events=3, max_links=2, max_event_attributes=2),
    )
    provider.add_span_processor(SimpleSpanProcessor(memory))
    first = provider.get_tracer("scope one", "1.2", schema_url="https://example.org/scope", attributes={"own": [1]})
    second = provider.get_tracer("scope two")
    state = TraceState([("vendor", "x1"), ("other", "y")])
    remote = SpanContext(0x1234 << 90, 0x77, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    links = [Link(remote, {"why": "retry", "n": 3}), Link(remote), Link(remote)]
    full = {"kind": SpanKind.SERVER, "attributes": EVERY_TYPE, "links": links}
    with first.start_as_current_span("server", context, **full) as span:
        for number in range(5):
            span.add_event(f"event {number}", {"a": number, "b": "x", "c": 1.5}, timestamp=1_700_000_000_000_000_000)
        span.set_attributes({f"more {number}": number for number in range(5)})
        span.set_status(Status(StatusCode.OK))
        for kind in (SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL):
            with second.start_as_current_span(f"child {kind.name}", kind=kind) as child:
                child.record_exception(ValueError("bad — \x00 value"))
                child.set_status(Status(StatusCode.ERROR, "went wrong"))
    provider.shutdown()
    return encode_spans(memory.get_finished_spans())


def _exemplar(point: Any, **value: Any) -> None:
    one = point.exemplars.add(time_unix_nano=5, trace_id=b"t" * 16, span_id=b"s" * 8, **value)
    pair = one.filtered_attributes.add(key="k")
    pair.value.string_value = "v"


def metrics() -> ExportMetricsServiceRequest:
    """A metric of each kind with every field; and points that say little."""
    request = ExportMetricsServiceRequest()
    owner = request.resource_metrics.add(schema_url="r")
    owner.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = owner.scope_metrics.add(schema_url="s")
    scope.scope.name = "meter"
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        metric = scope.metrics.add(name=f"a.{kind}", description="what it says", unit="By")
        data = getattr(metric, kind)
        if kind in ("sum", "histogram", "exponential_histogram"):
            data.aggregation_temporality = 2
        if kind == "sum":
            data.is_monotonic = True
        point = data.data_points.add(start_time_unix_nano=100, time_unix_nano=200, flags=1)
        point.attributes.add(key="mode").value.string_value = "user"
        _FILL[kind](point)
        data.data_points.add(time_unix_nano=300)
    scope.metrics[0].gauge.data_points.add(time_unix_nano=400, as_int=-(2**63))
    return request


def _number(point: Any) -> None:
    point.as_double = 2.5
    _exemplar(point, as_double=2.0)
    _exemplar(point, as_int=-3)


def _histogram(point: Any) -> None:
    point.count, point.sum, point.min, point.max = 6, 12.5, 0.5, 9.0
    point.bucket_counts.extend([1, 2, 3])
    point.explicit_bounds.extend([0.25, 5.0])
    _exemplar(point, as_double=0.125)


def _exponential(point: Any) -> None:
    point.count, point.sum, point.min, point.max = 2**63, -1.5, -8.0, 7.0
    point.scale, point.zero_count, point.zero_threshold = -3, 4, 0.001
    point.positive.offset, point.negative.offset = -5, 2**31 - 1
    point.positive.bucket_counts.extend([0, 300, 2**64 - 1])
    _exemplar(point, as_double=1.5)


def _summary(point: Any) -> None:
    point.count, point.sum = 3, 4.5
    for quantile in (0.0, 0.5, 1.0):
        point.quantile_values.add(quantile=quantile, value=quantile * 10)


_FILL = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}


def logs() -> ExportLogsServiceRequest:
    """Records with every field, with a structured body, and with next to nothing."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    full = scope.log_records.add(
        time_unix_nano=10,
        observed_time_unix_nano=20,
        severity_number=17,
        severity_text="ERROR",
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        flags=0x101,
        dropped_attributes_count=3,
        event_name="checkout.failed",
    )
    full.body.string_value = 'card "declined"\n'
    full.attributes.add(key="code").value.int_value = 402
    structured = scope.log_records.add(time_unix_nano=11)
    pair = structured.body.kvlist_value.values.add(key="list")
    pair.value.array_value.values.add().double_value = 1.0
    pair.value.array_value.values.add().bytes_value = b"raw"
    scope.log_records.add()
    return request
