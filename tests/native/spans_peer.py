# SPDX-License-Identifier: Apache-2.0
"""Writes scripts for tool_spans and, beside them, the protobuf message that must come of each span."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.native.build import tool

Value = Any  # bool, int, float, str, bytes, or a list of them
TRACE, PARENT = bytes(range(1, 17)), bytes(range(1, 9))


def hexed(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return data.hex() or "-"


def word(value: Value) -> str:
    """A value as tool_spans reads it."""
    if isinstance(value, bool):
        return f"t:{int(value)}"
    if isinstance(value, int):
        return f"i:{value}"
    if isinstance(value, float):
        return f"d:{struct.pack('<d', value).hex()}"
    if isinstance(value, (str, bytes)):
        return f"{'s' if isinstance(value, str) else 'b'}:{hexed(value)}"
    return "a:" + ",".join(word(item) for item in value)


def any_value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))


def key_values(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


@dataclass
class Wanted:
    """One span: what to do, and what must come of it."""

    name: str = "name"
    kind: int = 1
    scope: str = "pillion.test\0" + "1.2"
    start_ns: int = 1_700_000_000_000_000_000
    end_ns: int = 1_700_000_000_000_000_500
    intern: bool = True
    parent: bool = True
    remote: bool = False
    tracestate: str = ""
    attributes: dict[str, Value] = field(default_factory=dict)
    events: list[tuple[str, int, dict[str, Value]]] = field(default_factory=list)
    links: list[tuple[bytes, bytes, str, dict[str, Value]]] = field(default_factory=list)
    status: int = 0
    message: str = ""

    def script(self) -> list[str]:
        at = "@" if self.intern else ""
        lines = []
        if self.parent:
            lines.append(f"parent {TRACE.hex()} {PARENT.hex()} 3 {int(self.remote)} {hexed(self.tracestate)}")
        lines.append(f"begin {self.kind} {at}{hexed(self.name)} @{hexed(self.scope)} {self.start_ns}")
        lines += [f"set {at}{hexed(key)} {word(value)}" for key, value in self.attributes.items()]
        for name, time_ns, attributes in self.events:
            lines.append(f"event {at}{hexed(name)} {time_ns}")
            lines += [f"last {at}{hexed(key)} {word(value)}" for key, value in attributes.items()]
        for trace_id, span_id, state, attributes in self.links:
            lines.append(f"link {trace_id.hex()} {span_id.hex()} 1 1 {hexed(state)}")
            lines += [f"last {at}{hexed(key)} {word(value)}" for key, value in attributes.items()]
        if self.status:
            lines.append(f"status {self.status} {hexed(self.message)}")
        return [*lines, f"end {self.end_ns}"]

    def message_like(self, found: Span) -> Span:
        """What `found` must equal; only the ids that were made at random are taken from it."""
        span = Span(
            trace_id=TRACE if self.parent else found.trace_id,
            span_id=found.span_id,
            parent_span_id=PARENT if self.parent else b"",
            trace_state=self.tracestate if self.parent else "",
            name=self.name,
            kind=Span.SpanKind.ValueType(self.kind),
            start_time_unix_nano=self.start_ns,
            end_time_unix_nano=self.end_ns,
            attributes=key_values(self.attributes),
            flags=0x103 | (0x200 if self.remote and self.parent else 0),
        )
        for name, time_ns, attributes in self.events:
            span.events.add(name=name, time_unix_nano=time_ns, attributes=key_values(attributes))
        for trace_id, span_id, state, attributes in self.links:
            span.links.add(
                trace_id=trace_id, span_id=span_id, trace_state=state, attributes=key_values(attributes), flags=0x301
            )
        if self.status:
            span.status.CopyFrom(Status(code=Status.StatusCode.ValueType(self.status), message=self.message))
        return span


@dataclass
class Batch:
    request: ExportTraceServiceRequest
    body: bytes
    spans: int
    skipped: int

    def all_spans(self) -> list[Span]:
        scopes = (scope for one in self.request.resource_spans for scope in one.scope_spans)
        return [span for scope in scopes for span in scope.spans]


def run(lines: list[str], *arguments: str) -> bytes:
    """What tool_spans, built with sanitizers, writes for this script."""
    script = "".join(line + "\n" for line in lines).encode()
    ended = subprocess.run([str(tool("tool_spans")), *arguments], input=script, capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode(errors="replace")[-4000:]
    return ended.stdout


def batches(lines: list[str], capacity: int = 3 << 20) -> list[Batch]:
    """The requests that a sender would send for this script."""
    out, found = run([*lines, f"drain {capacity}"]), []
    while out:
        size, spans, skipped = struct.unpack_from("<III", out)
        body, out = out[12 : 12 + size], out[12 + size :]
        found.append(Batch(ExportTraceServiceRequest.FromString(body), body, spans, skipped))
    return found


def one_span(lines: list[str]) -> Span:
    (batch,) = batches(lines)
    (span,) = batch.all_spans()
    return span
