# SPDX-License-Identifier: Apache-2.0
"""Peers that mean harm, or know no better, against a real collector: it answers rightly, stays up and serves others."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import grpc
import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.collector import http2
from tests.collector.conftest import Running, eventually

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def request(name: str = "GET /") -> bytes:
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = os.urandom(16), os.urandom(8), name
    span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 5
    return bytes(message.SerializeToString())


def export(collector: Running, body: bytes, **how: Any) -> bytes:
    with grpc.insecure_channel(collector.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        call: Any = channel.unary_unary(EXPORT)
        return bytes(call(body, timeout=60, **how))


def still_serves(collector: Running) -> None:
    assert export(collector, request()) == b""
    assert collector.fetch("/healthz")[0] == 200
    assert collector.process.poll() is None


def refused(collector: Running) -> dict[str, int]:
    found: dict[str, int] = collector.get("/api/stats")["collector"]["refused"]
    return found


_RESETS = (http2.headers(at) + http2.frame(http2.RST_STREAM, 0, at, b"\0\0\0\x08") for at in range(1, 4001, 2))
GARBAGE = {
    "zeros": b"\0" * 4096,
    "noise": os.urandom(65536),
    "http/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise after the preface": http2.PREFACE + os.urandom(4096),
    "data on stream 0": http2.hello() + http2.frame(http2.DATA, 0, 0, b"x" * 100),
    "broken hpack": http2.hello() + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b"\xff" * 50),
    "bad settings": http2.hello() + http2.frame(http2.SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
    "ping flood": http2.hello() + http2.frame(http2.PING, 0, 0, b"x" * 8) * 5000,
    "rapid reset": http2.hello() + b"".join(_RESETS),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_on_the_port_ends_that_connection_only(shared: Running, garbage: bytes) -> None:
    with http2.connect(shared.grpc) as peer, contextlib.suppress(OSError):  # hung up on while we still talk
        peer.sendall(garbage)
        peer.shutdown(socket.SHUT_WR)
        http2.read_until(peer, b"never")
    still_serves(shared)


@pytest.mark.parametrize("framed", [False, True])
def test_json_under_a_content_type_of_its_own_is_refused(collector: Running, framed: bool) -> None:
    """grpc's core lets any content type pass, so that it is the body that betrays it."""
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}'
    with http2.connect(collector.grpc) as peer:
        peer.sendall(http2.hello() + http2.headers(1, "application/json"))
        peer.sendall(http2.frame(http2.DATA, http2.END_STREAM, 1, http2.message(body) if framed else body))
        answer = http2.read_until(peer, b"grpc-status")
    assert b"grpc-status" in answer
    still_serves(collector)
    assert collector.get("/api/stats")["collector"]["received"]["traces"] == 1
    assert not framed or refused(collector) == {"traces:bad_input": 1}  # unframed: core refuses before we hear of it


@pytest.mark.parametrize(
    "body", [b"\xff", b"\x0a\xff", b"garbage", request()[:-3], b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"]
)
def test_garbage_and_cut_off_protobuf_is_an_invalid_argument(collector: Running, body: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        export(collector, body)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused(collector) == {"traces:bad_input": 1}
    still_serves(collector)


def test_a_message_that_is_cut_off_or_longer_than_it_says_is_refused(collector: Running) -> None:
    for claimed in (10**6, 2**32 - 1):
        with http2.connect(collector.grpc) as peer:
            peer.sendall(http2.hello() + http2.headers(1))
            peer.sendall(http2.frame(http2.DATA, http2.END_STREAM, 1, http2.message(b"abc", claimed)))
            http2.read_until(peer, b"grpc-status")
    still_serves(collector)
    assert eventually(lambda: sum(refused(collector).values()) >= 2)


def test_a_gzip_bomb_is_refused_and_costs_little_memory(collector: Running) -> None:
    still_serves(collector)
    before = psutil.Process(collector.process.pid).memory_info().rss
    with pytest.raises(grpc.RpcError) as caught:
        export(collector, b"\0" * (120 << 20), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert psutil.Process(collector.process.pid).memory_info().rss < before + (100 << 20)
    assert eventually(lambda: refused(collector)) == {"traces:unreadable": 1}
    still_serves(collector)


def test_two_hundred_half_sent_bodies_do_not_keep_others_out(collector: Running) -> None:
    with contextlib.ExitStack() as peers:
        for _ in range(200):
            peer = peers.enter_context(http2.connect(collector.grpc))
            peer.sendall(http2.hello() + http2.headers(1) + http2.frame(http2.DATA, 0, 1, http2.message(b"abc", 10**6)))
        assert eventually(
            lambda: "pillion_receiver_in_flight_requests 200\n" in collector.fetch("/metrics")[1].decode()
        )
        still_serves(collector)
        still_serves(collector)
    assert eventually(lambda: "pillion_receiver_in_flight_requests 0\n" in collector.fetch("/metrics")[1].decode())


def test_two_hundred_connections_that_say_nothing_do_not_keep_others_out(shared: Running) -> None:
    with contextlib.ExitStack() as peers:
        for at in range(200):
            peer = peers.enter_context(http2.connect(shared.grpc))
            peer.sendall(http2.PREFACE[: at % 24])
        still_serves(shared)


def test_a_peer_that_never_reads_its_answers_does_not_keep_others_out(shared: Running) -> None:
    with http2.connect(shared.grpc) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(http2.hello())
        body = http2.message(request())
        for stream in range(1, 199, 2):
            peer.sendall(http2.headers(stream) + http2.frame(http2.DATA, http2.END_STREAM, stream, body))
        still_serves(shared)
