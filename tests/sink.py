# SPDX-License-Identifier: Apache-2.0
"""A reference receiver for tests: grpcio and opentelemetry-proto, nothing of ours. Keeps what it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


@dataclass(frozen=True)
class Received:
    """One span as it came, with the attributes unpacked."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    status: int
    events: list[str]
    message: Any

    @property
    def pid(self) -> int:
        return int(self.resource["process.pid"])


def plain(value: Any) -> Any:
    """An AnyValue as Python's own."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in pairs}


def unpack(request: Any) -> Iterator[Received]:
    """The spans of one ExportTraceServiceRequest."""
    for group in request.resource_spans:
        resource = attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield Received(
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=attributes(span.attributes),
                    resource=resource,
                    scope=scoped.scope.name,
                    status=span.status.code,
                    events=[event.name for event in span.events],
                    message=span,
                )


class Sink(grpc.GenericRpcHandler):
    """Takes traces and metrics on one address; `wait` is how a test asks for what it expects."""

    def __init__(self) -> None:
        self.address = ""
        self.spans: list[Received] = []
        self.metrics: list[Any] = []
        self._changed = threading.Condition()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if details.method.endswith("TraceService/Export"):
            return grpc.unary_unary_rpc_method_handler(self._traces)
        if details.method.endswith("MetricsService/Export"):
            return grpc.unary_unary_rpc_method_handler(self._metrics)
        return None

    def _traces(self, body: bytes, _context: grpc.ServicerContext) -> bytes:
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.spans.extend(unpack(request))
            self._changed.notify_all()
        return b""

    def _metrics(self, body: bytes, _context: grpc.ServicerContext) -> bytes:
        with self._changed:
            self.metrics.append(metrics_service_pb2.ExportMetricsServiceRequest.FromString(body))
            self._changed.notify_all()
        return b""

    def wait(self, enough: Callable[[list[Received]], bool], seconds: float = 30) -> list[Received]:
        """All spans so far, as soon as `enough` says so; a test fails by AssertionError when that never happens."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not enough(self.spans):
                left = deadline - time.monotonic()
                got = [(span.name, span.pid) for span in self.spans]
                assert left > 0, f"still missing after {seconds} s; came: {got}"
                self._changed.wait(left)
            return list(self.spans)


@contextmanager
def listening(address: str) -> Iterator[Sink]:
    """A sink at `unix:/path` or `127.0.0.1:0`."""
    sink = Sink()
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((sink,))
    port = server.add_insecure_port(address)
    assert port, f"could not listen on {address}"
    sink.address = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
    server.start()
    try:
        yield sink
    finally:
        server.stop(0).wait()
