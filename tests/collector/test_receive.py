# SPDX-License-Identifier: Apache-2.0
"""The OTLP/gRPC server against a store whose answers the test decides: statuses, retry hints, counting, big bodies."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from pillion_collector import receive
from pillion_collector.receive import SERVICES, Receiver
from pillion_collector.settings import Address
from pillion_collector.store import BadInput, Batch, Kind, Outcome, StoreBusy, StoreError

TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
MIB = 1 << 20


class Scripted:
    """A store that answers as told and keeps what it was given."""

    def __init__(self) -> None:
        self.bodies: list[tuple[Kind, bytes]] = []
        self.batches: list[Batch | None] = []
        self.answer: Callable[[], Outcome] = lambda: Outcome(1, 0, "")
        self.futures: list[Future[Outcome]] = []
        self.waits = False

    def append(self, kind: Kind, body: bytes, batch: Batch | None = None) -> Future[Outcome]:
        self.bodies.append((kind, body))
        self.batches.append(batch)
        future: Future[Outcome] = Future()
        self.futures.append(future)
        if not self.waits:
            try:
                future.set_result(self.answer())
            except StoreBusy:
                raise
            except Exception as error:
                future.set_exception(error)
        return future


class Served:
    """A receiver on a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.store = Scripted()
        self.changes = 0
        self.socket = folder / "s"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.receiver = self.run(self._make())
        self.port = self.run(self.receiver.start(self.socket, Address("127.0.0.1", 0)))

    async def _make(self) -> Receiver:
        return Receiver(self.store, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self) -> None:
        self.run(self.receiver.stop(0))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def call(self, body: bytes, service: str = TRACES, method: str = "Export", unix: bool = False, **how: Any) -> bytes:
        target = f"unix:{self.socket}" if unix else f"127.0.0.1:{self.port}"
        with grpc.insecure_channel(target, options=[("grpc.max_send_message_length", -1)]) as channel:
            export: Any = channel.unary_unary(f"/{service}/{method}")
            return bytes(export(body, timeout=60, **how))

    def refusal(self, body: bytes = b"x", **how: Any) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as caught:
            self.call(body, **how)
        return caught.value


@pytest.fixture
def served() -> Iterator[Served]:
    folder = Path(tempfile.mkdtemp(prefix="pln-"))
    one = Served(folder)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def details(error: Any) -> status_pb2.Status:
    trailers = dict(error.trailing_metadata())
    return status_pb2.Status.FromString(trailers["grpc-status-details-bin"])


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_every_signal_arrives_as_it_was_sent_over_tcp_and_unix_plain_and_gzipped(
    served: Served, unix: bool, compression: Any
) -> None:
    for service, kind in SERVICES.items():
        body = b"\x0a\x00" * 5000 + kind.encode()
        assert served.call(body, service, unix=unix, compression=compression) == b""
        assert served.store.bodies[-1] == (kind, body)
    assert served.receiver.accepted == {"traces": 1, "metrics": 1, "logs": 1}
    assert served.changes == 3


def test_an_empty_request_is_a_success(served: Served) -> None:
    assert served.call(b"") == b""
    assert served.store.bodies == [("traces", b"")]


def test_the_name_of_a_batch_goes_on_to_the_store_and_a_malformed_one_is_counted(served: Served) -> None:
    ring = "00112233445566778899aabbccddeeff"
    served.call(b"x", metadata=(("pillion-batch", f"{ring}-{7:016x}-{9:016x}"),))
    for wrong in ("", "x" * 66, f"{ring}-7-9"):
        served.call(b"x", metadata=(("pillion-batch", wrong),))
    metrics = "opentelemetry.proto.collector.metrics.v1.MetricsService"
    served.call(b"x", metrics, metadata=(("pillion-batch", f"{ring}-{7:016x}-{9:016x}"),))
    assert served.store.batches == [Batch(bytes.fromhex(ring), 7, 9), None, None, None, None]
    assert served.receiver.bad_batches == 3


def test_the_socket_is_its_owners_alone(served: Served) -> None:
    assert served.socket.stat().st_mode & 0o777 == 0o600


def test_rejected_items_are_told_as_partial_success(served: Served) -> None:
    served.store.answer = lambda: Outcome(7, 300, "300 of them: id of a wrong length")
    traces = trace_service_pb2.ExportTraceServiceResponse.FromString(served.call(b"x"))
    assert traces.partial_success.rejected_spans == 300
    assert traces.partial_success.error_message == "300 of them: id of a wrong length"
    name = "opentelemetry.proto.collector.logs.v1.LogsService"
    logs = logs_service_pb2.ExportLogsServiceResponse.FromString(served.call(b"x", name))
    assert logs.partial_success.rejected_log_records == 300
    assert served.receiver.rejected == {"traces": 300, "logs": 300}


def test_garbage_is_an_invalid_argument_and_must_not_come_again(served: Served) -> None:
    served.store.answer = lambda: _raise(BadInput("a malformed protobuf message of 3 bytes"))
    error = served.refusal()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "a malformed protobuf message of 3 bytes"
    assert details(error).code == 3 and not details(error).details
    assert served.receiver.refused == {("traces", "bad_input"): 1}
    assert served.changes == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [(StoreBusy("the queue is full"), "busy"), (StoreError("disk_full", "no space"), "disk_full")],
)
def test_overload_and_a_full_disk_ask_to_come_again_later(served: Served, error: StoreError, reason: str) -> None:
    served.store.answer = lambda: _raise(error)
    found = served.refusal()
    assert found.code() is grpc.StatusCode.UNAVAILABLE
    (hint,) = details(found).details
    retry = error_details_pb2.RetryInfo()
    assert hint.Unpack(retry) and retry.retry_delay.seconds >= 1
    assert served.receiver.refused == {("traces", reason): 1}


def test_an_unforeseen_error_is_counted_and_the_server_goes_on(served: Served) -> None:
    served.store.answer = lambda: _raise(ZeroDivisionError("ours"))
    assert served.refusal().code() is grpc.StatusCode.INTERNAL
    served.store.answer = lambda: Outcome(1, 0, "")
    assert served.call(b"x") == b""
    assert served.receiver.refused == {("traces", "internal:ZeroDivisionError"): 1}


def test_an_unknown_service_or_method_is_unimplemented(served: Served) -> None:
    assert served.refusal(service="a.B").code() is grpc.StatusCode.UNIMPLEMENTED
    assert served.refusal(method="Import").code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_a_message_beyond_64_mib_as_sent_or_unpacked_is_refused_and_counted(served: Served, compression: Any) -> None:
    error = served.refusal(b"\0" * (65 * MIB), compression=compression)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.call(b"x") == b""
    assert served.receiver.refused == {("traces", "unreadable"): 1}
    assert served.store.bodies == [("traces", b"x")]


def test_a_message_of_60_mib_is_taken(served: Served) -> None:
    assert served.call(b"\0" * (60 * MIB)) == b""
    assert len(served.store.bodies[0][1]) == 60 * MIB


def test_a_client_that_leaves_does_not_cancel_the_commit(served: Served) -> None:
    served.store.waits = True
    with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        export: Any = channel.unary_unary(f"/{TRACES}/Export")
        with pytest.raises(grpc.RpcError) as caught:
            export(b"x", timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    (future,) = served.store.futures
    assert not future.cancelled()
    future.set_result(Outcome(1, 0, ""))
    served.store.waits = False
    assert served.call(b"y") == b""


def test_a_store_that_never_answers_is_given_up_with_a_retry_hint(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "STORE_S", 0.05)
    served.store.waits = True
    error = served.refusal()
    assert error.code() is grpc.StatusCode.UNAVAILABLE and details(error).details
    assert served.receiver.refused == {("traces", "store_timeout"): 1}


def test_a_body_that_does_not_arrive_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "BODY_S", 0.05)
    never = threading.Event()

    def silent() -> Iterator[bytes]:
        never.wait(30)
        yield b"x"

    with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        export: Any = channel.stream_unary(f"/{TRACES}/Export")
        with pytest.raises(grpc.RpcError) as caught:
            export(silent(), timeout=60)
    never.set()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert served.receiver.refused == {("traces", "body_timeout"): 1}


def test_a_call_without_a_message_is_an_invalid_argument(served: Served) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        export: Any = channel.stream_unary(f"/{TRACES}/Export")
        with pytest.raises(grpc.RpcError) as caught:
            export(iter(()), timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def _raise(error: Exception) -> Any:
    raise error
