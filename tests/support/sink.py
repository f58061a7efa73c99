# SPDX-License-Identifier: Apache-2.0
"""sink: the reference grpcio server as collector, on a run directory's socket; keeps what arrives, decoded.

As the real one it reads the rings that ended processes left, and takes no batch twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pillion_collector import rings

SERVICE = "/opentelemetry.proto.collector."


def plain(value: Any) -> Any:
    """An AnyValue as a Python value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)


@dataclass
class Span:
    """One span as it arrived."""

    name: str
    kind: int
    scope: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    status: int
    message: str
    flags: int
    tracestate: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str, dict[str, Any]]]
    resource: dict[str, Any]
    raw: Any = None  # protobuf's, for what the fields above leave out
    version: str = ""  # of the scope
    schema: str = ""  # URL, of the scope


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in pairs}


def _span(raw: Any, scoped: Any, resource: dict[str, Any]) -> Span:
    return Span(
        name=raw.name,
        kind=raw.kind,
        scope=scoped.scope.name,
        trace_id=raw.trace_id.hex(),
        span_id=raw.span_id.hex(),
        parent_id=raw.parent_span_id.hex(),
        start_ns=raw.start_time_unix_nano,
        end_ns=raw.end_time_unix_nano,
        status=raw.status.code,
        message=raw.status.message,
        flags=raw.flags,
        tracestate=raw.trace_state,
        attributes=_attributes(raw.attributes),
        events=[(event.name, _attributes(event.attributes)) for event in raw.events],
        links=[(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes)) for link in raw.links],
        resource=resource,
        raw=raw,
        version=scoped.scope.version,
        schema=scoped.schema_url,
    )


def decode(body: bytes) -> list[Span]:
    """All spans of an ExportTraceServiceRequest."""
    found: list[Span] = []
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            found.extend(_span(raw, scoped, resource) for raw in scoped.spans)
    return found


@dataclass
class Sink(grpc.GenericRpcHandler):
    """The server. `spans` grows as requests arrive; `wait` waits for what a test expects."""

    run_dir: Path
    spans: list[Span] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)  # ring -> the last batch that came
    adopted: list[rings.Ring] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers((self,))
        self.server.add_insecure_port(f"unix:{self.run_dir}/pillion.sock")
        self.server.start()

    def service(self, details: Any) -> Any:
        """grpcio's question who handles a method."""
        batch = dict(details.invocation_metadata).get("pillion-batch", "")
        return grpc.unary_unary_rpc_method_handler(lambda body, _: self.take(details.method, body, batch))

    def take(self, method: str, body: bytes, batch: str = "") -> bytes:
        """Keeps one request, but no batch a second time."""
        with self.changed:
            if method.startswith(SERVICE + "trace") and self.is_new(batch):
                self.spans.extend(decode(body))
            elif method.startswith(SERVICE + "metrics"):
                self.metrics.append(ExportMetricsServiceRequest.FromString(body))
            self.changed.notify_all()
        return b""

    def is_new(self, batch: str) -> bool:
        """By the id of a batch, `ring-start-end`, all in hex; one without an id is always new."""
        if not batch:
            return True
        ring, start, end = batch.split("-")
        closed = any(one.ring_id.hex() == ring for one in self.adopted)
        if closed or self.marks.get(ring, (-1, -1))[0] == int(start, 16):
            return False
        self.marks[ring] = (int(start, 16), int(end, 16))
        return True

    def adopt(self) -> None:
        """Takes what ended processes left in their rings."""
        for path in (self.run_dir / "rings").glob("*.ring"):
            with self.changed:
                if not path.exists() or rings.owner_alive(path):
                    continue
                try:
                    head = rings.peek(path)
                except rings.RingError:  # not one of a process
                    continue
                start, end = self.marks.get(head.ring_id.hex(), (-1, -1))
                ring = rings.read(path, end if start == head.head else None)
                self.adopted.append(ring)
                for batch in ring.batches:
                    self.spans.extend(decode(batch.body))
                self.metrics.extend(map(ExportMetricsServiceRequest.FromString, ring.metrics))
                path.unlink()

    def wait(self, enough: Callable[[], bool], seconds: float = 20) -> None:
        """Returns when `enough()` holds; AssertionError with what there is when it doesn't in time."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not enough():
                self.adopt()
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self.spans)} spans came: {[span.name for span in self.spans]}"
                self.changed.wait(min(left, 0.1))

    def named(self, name: str) -> list[Span]:
        """The spans of one name."""
        return [span for span in self.spans if span.name == name]

    def stop(self) -> None:
        """Ends the server at once."""
        self.server.stop(0).wait()
