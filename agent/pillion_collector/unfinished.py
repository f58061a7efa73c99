# SPDX-License-Identifier: Apache-2.0
"""The requests that a process took to its grave, as OTLP: spans that say how they were cut off. Pure."""

from __future__ import annotations

from typing import Final

from pillion_collector.protobuf import field, fixed32, fixed64, whole
from pillion_collector.rings import Flight, Ring

UNFINISHED: Final = "pillion.unfinished"  # an attribute, true: such a span has no end of its own
_ERROR: Final = 2  # of Status.StatusCode
_KINDS: Final = range(6)  # of Span.SpanKind


def request(ring: Ring, flights: list[Flight], end_ns: int, kind: str, message: str) -> bytes:
    """An ExportTraceServiceRequest. `kind` becomes error.type, `message` the status; all end when that was noticed."""
    if not flights:
        return b""
    scope = field(1, b"pillion")
    spans = b"".join(field(2, _span(flight, end_ns, kind, message)) for flight in flights)
    return field(1, field(1, ring.resource) + field(2, field(1, scope) + spans))


def _span(flight: Flight, end_ns: int, kind: str, message: str) -> bytes:
    parts = [field(1, bytes.fromhex(flight.trace_id)), field(2, bytes.fromhex(flight.span_id))]
    if flight.parent_id:
        parts.append(field(4, bytes.fromhex(flight.parent_id)))
    parts += [
        field(5, flight.name.encode()),
        whole(6, flight.kind if flight.kind in _KINDS else 0),
        fixed64(7, flight.start_ns),
        fixed64(8, max(flight.start_ns, end_ns)),
        field(9, field(1, UNFINISHED.encode()) + field(2, whole(2, 1))),
        field(9, _text("error.type", kind)),
    ]
    if flight.detail:
        parts.append(field(9, _text("pillion.request", flight.detail)))
    parts += [field(15, field(2, message.encode()) + whole(3, _ERROR)), fixed32(16, flight.flags)]
    return b"".join(parts)


def _text(key: str, value: str) -> bytes:
    return field(1, key.encode()) + field(2, field(1, value.encode()))
