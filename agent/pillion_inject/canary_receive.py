# SPDX-License-Identifier: Apache-2.0
"""canary_receive: a receiver of its own for the canary: takes OTLP over gRPC on a unix socket and counts what comes.

Just as much HTTP/2 as taking unary calls needs: request headers are not even read, since a metric and a span differ in
their own fields. The node's collector has a real server; here nothing may be needed but the standard library.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import Iterator

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BODY_BYTES = 16 << 20  # of one call
WINDOW = (1 << 31) - 1
NAME, START_NS = 5, 7  # fields of a span; a metric's field 7 is no fixed64


class Receiver:
    """Listens as long as it is open. `names` are those of the spans that came."""

    def __init__(self, path: str) -> None:
        self.names: list[str] = []
        self.calls = 0
        self._lock = threading.Lock()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more."""
        self._listening.close()

    def taken(self) -> list[str]:
        """What came since the last question."""
        with self._lock:
            names, self.names = self.names, []
            return names

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer, peer.makefile("rb") as stream:
                if stream.read(len(PREFACE)) != PREFACE:
                    return
                peer.sendall(_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, WINDOW)))
                peer.sendall(_frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65535)))
                bodies: dict[int, bytes] = {}
                while True:
                    head = stream.read(9)
                    if len(head) < 9:
                        return
                    payload = stream.read(int.from_bytes(head[:3], "big"))
                    number = int.from_bytes(head[5:], "big") & WINDOW
                    self._take(peer, bodies, head[3], head[4], number, payload)
        except (OSError, ValueError, IndexError):
            return  # whoever speaks like that is no client of ours

    def _take(
        self, peer: socket.socket, bodies: dict[int, bytes], kind: int, flags: int, number: int, payload: bytes
    ) -> None:
        if kind == SETTINGS and not flags & ACK:
            peer.sendall(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            peer.sendall(_frame(PING, ACK, 0, payload))
        elif kind == DATA:
            if flags & PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            bodies[number] = bodies.get(number, b"") + payload
            if len(bodies[number]) > BODY_BYTES:
                raise ValueError("too large")
            if payload:
                peer.sendall(_frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))))
            if flags & END_STREAM:
                self._keep(bodies.pop(number)[5:])  # the message, without gRPC's flag and length
                peer.sendall(_answer(number))
        elif kind in (RST_STREAM, GOAWAY):
            bodies.pop(number, None)

    def _keep(self, body: bytes) -> None:
        names = list(span_names(body))
        with self._lock:
            self.calls += 1
            self.names += names


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", number) + payload


def _answer(number: int) -> bytes:
    """An empty message and the status OK; headers as literals that no table needs to know."""
    begin = b"\x88\x0f\x10\x10application/grpc"  # :status 200, content-type
    end = b"\x00\x0bgrpc-status\x010"
    return (
        _frame(HEADERS, END_HEADERS, number, begin)
        + _frame(DATA, 0, number, bytes(5))
        + _frame(HEADERS, END_HEADERS | END_STREAM, number, end)
    )


def span_names(body: bytes) -> Iterator[str]:
    """Names of the spans in an ExportTraceServiceRequest; none of another request. Raises ValueError, IndexError."""
    for resource in _messages(body, 1):
        for scope in _messages(resource, 2):
            for span in _messages(scope, 2):
                fields = dict(_fields(span))
                if isinstance(fields.get(START_NS), int):
                    name = fields.get(NAME)
                    yield name.decode("utf-8", "replace") if isinstance(name, bytes) else ""


def _messages(body: bytes, wanted: int) -> Iterator[bytes]:
    for number, value in _fields(body):
        if number == wanted and isinstance(value, bytes):
            yield value


def _fields(body: bytes) -> Iterator[tuple[int, int | bytes | None]]:
    """A protobuf message's fields: bytes, a fixed64 as a number, anything else as None."""
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, at = _varint(body, at)
            yield number, None
        elif kind == 1:
            yield number, int.from_bytes(body[at : at + 8], "little")
            at += 8
        elif kind == 2:
            size, at = _varint(body, at)
            yield number, body[at : at + size]
            at += size
        elif kind == 5:
            yield number, None
            at += 4
        else:
            raise ValueError("no protobuf")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("no protobuf")


def path_for(folder: str) -> str:
    """A socket's path in the folder."""
    return os.path.join(folder, "canary.sock")
