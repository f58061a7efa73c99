# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand, for peers that no library would be: frames, and headers as literals without compression."""

from __future__ import annotations

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def headers(stream: int, content_type: str = "application/grpc", path: str = EXPORT, flags: int = END_HEADERS) -> bytes:
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers")]
    block = b"".join(_literal(key) + _literal(value, b"") for key, value in [*fields, ("content-type", content_type)])
    return frame(HEADERS, flags, stream, block)


def _literal(text: str, prefix: bytes = b"\0") -> bytes:
    return prefix + bytes((len(text),)) + text.encode()


def message(body: bytes, claimed: int | None = None) -> bytes:
    """A gRPC message, which may claim another length than it has."""
    return struct.pack(">BI", 0, len(body) if claimed is None else claimed) + body


def hello() -> bytes:
    return PREFACE + frame(SETTINGS, 0, 0, b"")


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def read_until(peer: socket.socket, wanted: bytes) -> bytes:
    """Everything up to the wanted bytes, or to the end."""
    got = b""
    while wanted not in got:
        more = peer.recv(65536)
        if not more:
            break
        got += more
    return got
