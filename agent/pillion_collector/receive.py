# SPDX-License-Identifier: Apache-2.0
"""OTLP/gRPC in: raw request bytes go to the store, the answer leaves after the commit, every refusal is counted.

Runs on the event loop (grpc.aio), no Python object per span. Handlers take the request as a stream of one message,
though the call is unary: only so can the wait for a body be bounded and an oversized one be noticed and counted. (A
thread pool of the synchronous server is blocked for good by as many half-sent bodies as it has threads.)
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, Protocol

import grpc
import grpc.aio

from pillion_collector import marks
from pillion_collector.protobuf import field, varint
from pillion_collector.settings import Address
from pillion_collector.store import BadInput, Batch, Kind, Outcome, StoreBusy, StoreError

BATCH = "pillion-batch"  # metadata: which spans of which ring an export has
_PREFIX = "opentelemetry.proto.collector."
SERVICES: dict[str, Kind] = {
    _PREFIX + "trace.v1.TraceService": "traces",
    _PREFIX + "metrics.v1.MetricsService": "metrics",
    _PREFIX + "logs.v1.LogsService": "logs",
}
MESSAGE_BYTES = 64 << 20  # as sent and after decompression
BODY_S = 10.0  # a body that is not complete by then is given up
BODIES = 64  # arriving at once; of more, the oldest are given up …
CROWDED_S = 1.0  # … after this
TEXT_CHARACTERS = 500  # of a refusal: it travels in HTTP/2 headers
STORE_S = 30.0  # an export that is not committed by then may come again
_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # else a second collector would share the port in silence
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


class Appends(Protocol):
    """What the receiver needs of the store."""

    def append(self, kind: Kind, body: bytes, batch: Batch | None = None) -> Future[Outcome]: ...


class Receiver:
    """The gRPC server and its counters (written by the event loop only)."""

    def __init__(self, store: Appends, stored: Callable[[], None]) -> None:
        self._store = store
        self._stored = stored
        self._server: grpc.aio.Server | None = None
        self._arriving: dict[asyncio.Timeout, float] = {}  # bodies on their way and since when, oldest first
        self.accepted: Counter[str] = Counter()  # items by kind
        self.rejected: Counter[str] = Counter()  # items by kind: the request was fine, they were not
        self.requests: Counter[str] = Counter()  # answered with OK, by kind
        self.refused: Counter[tuple[str, str]] = Counter()  # requests by (kind, reason)
        self.bad_batches = 0  # names of batches that make no sense, and are passed over
        self.bytes = 0
        self.in_flight = 0

    async def start(self, socket: Path, address: Address, shared: bool = False) -> int:
        """Listens on both; returns the TCP port. Raises RuntimeError when an address cannot be had.

        `shared`: processes of all users may connect.
        """
        self._server = grpc.aio.server(options=_OPTIONS)
        for service, kind in SERVICES.items():  # core answers UNIMPLEMENTED to every other path
            export: dict[str, Any] = {"Export": grpc.stream_unary_rpc_method_handler(_handler(self, kind))}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, export),))
        before = os.umask(0o111 if shared else 0o177)  # from the socket's first moment
        try:
            self._server.add_insecure_port(f"unix:{socket}")
        finally:
            os.umask(before)
        port: int = self._server.add_insecure_port(str(address))
        await self._server.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """No new calls; those under way may still end within the grace."""
        if self._server is not None:
            await self._server.stop(grace_s)

    async def export(self, kind: Kind, context: Any) -> bytes:
        """One Export call from its first byte to its answer."""
        self.in_flight += 1
        try:
            body = await self._body(kind, context)
            outcome = await self._commit(kind, body, context)
        except asyncio.CancelledError:
            self.refused[kind, "cancelled"] += 1
            raise
        finally:
            self.in_flight -= 1
        self.requests[kind] += 1
        self.accepted[kind] += outcome.accepted
        self.rejected[kind] += outcome.rejected
        self.bytes += len(body)
        self._stored()
        return response(outcome)

    async def _body(self, kind: Kind, context: Any) -> bytes:
        try:
            async with asyncio.timeout(BODY_S) as limit:
                message = await self._read(context, limit)
        except TimeoutError:
            text = "the request body did not arrive in time"
            await self._refuse(context, kind, "body_timeout", grpc.StatusCode.DEADLINE_EXCEEDED, text)
        if not isinstance(message, bytes):  # end of stream: core has already refused an oversized or broken message
            text = f"no readable message: empty, cut off, badly compressed or larger than {MESSAGE_BYTES} bytes"
            await self._refuse(context, kind, "unreadable", grpc.StatusCode.INVALID_ARGUMENT, text)
        return message

    async def _read(self, context: Any, limit: asyncio.Timeout) -> Any:
        """The message. A crowd of half-sent ones must not hold up the others: the oldest have less time."""
        self._arriving[limit] = asyncio.get_running_loop().time()
        for one in islice(self._arriving, max(0, len(self._arriving) - BODIES)):
            one.reschedule(self._arriving[one] + CROWDED_S)
        try:
            return await context.read()
        finally:
            del self._arriving[limit]

    async def _commit(self, kind: Kind, body: bytes, context: Any) -> Outcome:
        try:
            # Shielded: a client that leaves must not cancel what the writer is committing.
            future = asyncio.wrap_future(self._store.append(kind, body, self._batch(kind, context)))
            return await asyncio.wait_for(asyncio.shield(future), STORE_S)
        except BadInput as error:
            await self._refuse(context, kind, "bad_input", grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except StoreBusy as error:
            await self._refuse(context, kind, "busy", grpc.StatusCode.UNAVAILABLE, str(error), 1.0)
        except StoreError as error:
            await self._refuse(context, kind, error.kind, grpc.StatusCode.UNAVAILABLE, str(error), 5.0)
        except TimeoutError:
            await self._refuse(
                context, kind, "store_timeout", grpc.StatusCode.UNAVAILABLE, "not committed in time", 5.0
            )

    def _batch(self, kind: Kind, context: Any) -> Batch | None:
        if kind != "traces":
            return None
        for key, value in context.invocation_metadata() or ():
            if key == BATCH:
                batch = marks.parse(value) if isinstance(value, str) else None
                self.bad_batches += batch is None
                return batch
        return None

    async def _refuse(
        self, context: Any, kind: Kind, reason: str, code: grpc.StatusCode, text: str, retry_s: float = 0.0
    ) -> NoReturn:
        self.refused[kind, reason] += 1
        text = text[:TEXT_CHARACTERS]
        try:
            await context.abort(
                code, text, (("grpc-status-details-bin", status_details(code.value[0], text, retry_s)),)
            )
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # core has answered already (RESOURCE_EXHAUSTED), or the peer is gone
            raise _Over from error
        raise _Over


class _Over(Exception):
    """The call is refused and counted: nothing more to answer."""


def _handler(receiver: Receiver, kind: Kind) -> Any:
    async def export(_requests: Any, context: Any) -> bytes:
        try:
            return await receiver.export(kind, context)
        except (grpc.aio.AbortError, asyncio.CancelledError):
            raise
        except _Over:
            return b""
        except Exception as error:  # a bug of ours: never a traceback, always a number
            receiver.refused[kind, f"internal:{type(error).__name__}"] += 1
            await context.abort(grpc.StatusCode.INTERNAL, type(error).__name__)
            raise

    return export


def response(outcome: Outcome) -> bytes:
    """Export…ServiceResponse: empty on full success, else partial_success {rejected = 1, error_message = 2}."""
    if not outcome.rejected and not outcome.message:
        return b""
    partial = (b"\x08" + varint(outcome.rejected) if outcome.rejected else b"") + field(2, outcome.message.encode())
    return field(1, partial)


def status_details(code: int, text: str, retry_s: float) -> bytes:
    """google.rpc.Status {code = 1, message = 2, details = 3}, with a RetryInfo when the client should come again."""
    status = b"\x08" + varint(code) + field(2, text.encode())
    if retry_s > 0:
        whole, nanos = int(retry_s), int(retry_s % 1 * 1e9)
        delay = (b"\x08" + varint(whole) if whole else b"") + (b"\x10" + varint(nanos) if nanos else b"")
        status += field(3, field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, delay)))
    return status
