# SPDX-License-Identifier: Apache-2.0
"""The sender under remote control (tool_sender), and the reference server it talks to (grpcio)."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from tests.native.build import tool

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
PATIENCE = 30.0  # seconds; only a failing test waits so long
STATUS = {"OK": 0, "TOO_LARGE": 2, "IO": 4, "BAD_INPUT": 5, "UNSUPPORTED": 6, "BUSY": 7}  # native/status.h
Event = dict[str, Any]
Handler = Callable[[bytes, grpc.ServicerContext], bytes]


class Sender:
    """One tool_sender process. Commands go in as lines, events come out as JSON."""

    def __init__(self, target: str, **options: object) -> None:
        sanitize = str(options.pop("sanitize", "address"))
        headers = [f"header={each}" for each in options.pop("headers", ())]  # type: ignore[attr-defined]
        arguments = [f"{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen(
            [str(tool("tool_sender", sanitize)), f"target={target}", *arguments, *headers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A fork's child leaves by _exit; what was freed shall not be mistaken for memory that is in use.
            env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=4"},
        )
        self.folder = tempfile.TemporaryDirectory()
        self.closed = False
        self.events: list[Event] = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.opened = self.expect("open")

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()

    def of(self, event: str) -> list[Event]:
        with self.changed:
            return [each for each in self.events if each["event"] == event]

    def expect(self, event: str, count: int = 1) -> Event:
        """The count-th event of that kind, waited for."""
        with self.changed:
            met = self.changed.wait_for(lambda: len(self._kind(event)) >= count, PATIENCE)
            assert met, f"no {event} number {count}; had {self.events[-8:]}, exit {self.process.poll()}"
            return self._kind(event)[count - 1]

    def _kind(self, event: str) -> list[Event]:
        return [each for each in self.events if each["event"] == event]

    def say(self, line: str) -> Event:
        """Sends a command and waits until it was carried out."""
        assert self.process.stdin
        word = {"batch": "added"}.get(line.split()[0], line.split()[0])
        seen = len(self.of(word))
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.expect(word, seen + 1)

    def batch(self, body: bytes, items: int = 1) -> int:
        path = Path(self.folder.name) / f"{time.monotonic_ns()}"
        path.write_bytes(body)
        return int(self.say(f"batch {path} {items}")["index"])

    def post(self, body: bytes, items: int = 1) -> int:
        """Adds a batch and tells the sender at once."""
        index = self.batch(body, items)
        self.say("hurry")
        return index

    def done(self, index: int = 0) -> Event:
        """What became of a batch."""
        return self.expect("done", index + 1)

    def stats(self) -> Event:
        seen = len(self.of("stats"))
        self.say("stats")  # answers twice: the numbers, then that it was carried out
        self.expect("stats", seen + 2)
        return self.of("stats")[seen]

    def counts(self, **expected: object) -> None:
        """Waits until the sender's statistics say so: they follow the outcome by a moment."""

        def differing() -> Event:
            stats = self.stats()
            return {name: stats[name] for name, value in expected.items() if stats[name] != value}

        end = time.monotonic() + PATIENCE
        while wrong := differing():
            assert time.monotonic() < end, f"{wrong} instead of {expected}"
            time.sleep(0.01)

    def look(self) -> Event:
        seen = len(self.of("process"))
        self.say("process")
        self.expect("process", seen + 2)
        return self.of("process")[seen]

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"it never came true; {self.stats()}"
            time.sleep(0.01)

    def close(self) -> None:
        """Ends the process; what its sanitizers said fails the test. Again: nothing."""
        if self.closed:
            return
        self.closed = True
        assert self.process.stdin and self.process.stdout and self.process.stderr
        try:
            with suppress(BrokenPipeError):  # it refused its options and is gone
                self.process.stdin.write("stop\n")
                self.process.stdin.close()
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join(PATIENCE)
            errors = self.process.stderr.read()
            self.process.stdout.close()
            self.process.stderr.close()
            self.folder.cleanup()
        assert self.process.returncode in (0, 1), errors
        assert not any(word in errors for word in ("ERROR", "runtime error", "WARNING: ThreadSanitizer")), errors


@contextmanager
def sender(target: str, **options: object) -> Iterator[Sender]:
    """A sender with short back-off, so that tests of repetition are quick."""
    one = Sender(target, **({"backoff_min_ms": 20, "backoff_max_ms": 100} | options))
    try:
        yield one
    finally:
        one.close()


class Reference:
    """grpcio as the other side. `handler` answers; what came is kept."""

    def __init__(self, address: str, handler: Handler | None = None) -> None:
        self.got: list[bytes] = []
        self.metadata: list[dict[str, str]] = []
        self.times: list[float] = []
        self.remaining: list[float] = []
        self.came = threading.Condition()
        self.handler = handler or (lambda body, context: b"")
        self.pool = ThreadPoolExecutor(8)
        self.server = grpc.server(
            self.pool, options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)]
        )
        method: Any = grpc.unary_unary_rpc_method_handler(self._export)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": method}),))
        self.port = self.server.add_insecure_port(address)
        self.server.start()

    def _export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        with self.came:
            self.got.append(body)
            self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata()})
            self.times.append(time.monotonic())
            self.remaining.append(context.time_remaining())
            self.came.notify_all()
        return self.handler(body, context)

    def wait(self, count: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.got) >= count, PATIENCE), f"only {len(self.got)} requests came"

    def stop(self) -> None:
        self.server.stop(0).wait(PATIENCE)
        self.pool.shutdown(wait=True)


@contextmanager
def reference(address: str, handler: Handler | None = None) -> Iterator[Reference]:
    one = Reference(address, handler)
    try:
        yield one
    finally:
        one.stop()


def fail(context: grpc.ServicerContext, code: int, text: str = "no", retry_after: float | None = None) -> None:
    """Ends the call with a gRPC code, with RetryInfo in the details if asked."""
    context.set_code(next(each for each in grpc.StatusCode if each.value[0] == code))
    context.set_details(text)
    if retry_after is not None:
        delay = duration_pb2.Duration(seconds=int(retry_after), nanos=int(retry_after % 1 * 1e9))
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        status = status_pb2.Status(code=code, message=text, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
