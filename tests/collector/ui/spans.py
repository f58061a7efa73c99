# SPDX-License-Identifier: Apache-2.0
"""Spans made with opentelemetry-proto and sent to a collector over gRPC, as any client would."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MS = 1_000_000
KINDS: dict[str, Any] = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}


def pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    return AnyValue(string_value=value)


def new_trace() -> bytes:
    return int(time.time()).to_bytes(4, "big") + os.urandom(12)


def span(
    name: str,
    trace: bytes,
    parent: Span | None = None,
    *,
    kind: str = "internal",
    at_ms: float = 0,
    took_ms: float = 1,
    error: str | None = None,
    **more: Any,
) -> Span:
    """`at_ms` counts from the parent's start, or from a second ago. `error` is the status message."""
    base = parent.start_time_unix_nano if parent else time.time_ns() - 1000 * MS
    start = base + int(at_ms * MS)
    return Span(
        trace_id=trace,
        span_id=os.urandom(8),
        parent_span_id=parent.span_id if parent else b"",
        name=name,
        kind=KINDS[kind],
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(took_ms * MS),
        status=Status(code=Status.STATUS_CODE_ERROR, message=error) if error is not None else None,
        **{"attributes": pairs(more.pop("attributes", {})), **more},
    )


def raised(what: str, message: str, stack: str) -> list[Span.Event]:
    attributes = {"exception.type": what, "exception.message": message, "exception.stacktrace": stack}
    return [Span.Event(time_unix_nano=time.time_ns(), name="exception", attributes=pairs(attributes))]


def send(target: str, service: str, spans: Sequence[Span], **resource: Any) -> None:
    """Returns after the collector has committed them. Large batches go in parts below gRPC's usual 4 MB."""
    about = pairs({"service.name": service, **{key.replace("_", "."): value for key, value in resource.items()}})
    with grpc.insecure_channel(target) as channel:
        export: Any = channel.unary_unary(EXPORT, request_serializer=ExportTraceServiceRequest.SerializeToString)
        for first in range(0, len(spans), 2000):
            request = ExportTraceServiceRequest()
            group = request.resource_spans.add()
            group.resource.attributes.extend(about)
            scoped = group.scope_spans.add()
            scoped.scope.name = "tests"
            scoped.spans.extend(spans[first : first + 2000])
            export(request, timeout=30)


def checkout(target: str, *, fails: bool = False) -> str:
    """A request through two services, with a query; the trace's id in hex."""
    trace = new_trace()
    root = span(
        "POST /checkout", trace, kind="server", took_ms=120, attributes={"http.route": "/checkout", "cart.items": 3}
    )
    call = span("POST", trace, root, kind="client", at_ms=10, took_ms=90, attributes={"server.address": "payments"})
    broken: dict[str, Any] = {
        "error": "card refused",
        "events": raised("CardRefused", "card refused", "Traceback …\nCardRefused: card refused"),
    }
    charge = span("POST /charge", trace, call, kind="server", at_ms=5, took_ms=80, **(broken if fails else {}))
    query = span(
        "INSERT payments", trace, charge, kind="client", at_ms=20, took_ms=30, attributes={"db.system.name": "sqlite"}
    )
    send(target, "shop", [root, call], service_instance_id="a", process_pid=4711)
    send(target, "payments", [charge, query], service_instance_id="b", process_pid=4712)
    return trace.hex()
