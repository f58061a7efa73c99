# SPDX-License-Identifier: Apache-2.0
"""The sender against peers that are slow, narrow, on their way out, broken or malicious."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import h2.errors
import h2.events
import pytest
from h2.settings import SettingCodes

from tests.native.grpc_peer import reference, sender
from tests.native.http2_peer import (
    Conversation,
    Settings,
    frame,
    headers,
    http2_peer,
    literal,
    plain_answer,
    polite,
    raw_peer,
    relay,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peer.sock"


def test_bytes_may_come_and_go_one_by_one(path: Path, tmp_path: Path) -> None:
    inner = f"{tmp_path}/inner.sock"
    with reference(f"unix:{inner}") as server, raw_peer(path, relay(inner)) as peer, sender(peer.target) as one:
        bodies = [b"", b"spans", os.urandom(3000)]
        for body in bodies:
            one.post(body)
        assert one.done(2)["outcome"] == "sent"
        assert server.got == bodies


def test_windows_of_one_byte_are_respected(path: Path) -> None:
    requests = []

    def script(conversation: Conversation, number: int) -> None:
        for _ in range(2):
            requests.append(conversation.request())
            conversation.answer(requests[-1].stream)
        conversation.until_closed()

    window: Settings = {SettingCodes.INITIAL_WINDOW_SIZE: 1}
    with http2_peer(path, script, window, window_step=1) as peer, sender(peer.target) as one:
        one.post(b"first")
        one.done(0)
        body = os.urandom(300)  # the settings have arrived by now
        one.post(body)
        assert one.done(1)["outcome"] == "sent"
    assert requests[1].message == body
    assert requests[1].pieces >= 305


def test_a_window_that_stays_shut_ends_by_the_deadline_and_the_call_is_repeated(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        if number > 0:
            return polite(conversation, number)
        conversation.answer(conversation.request().stream)
        conversation.h2.increment_flow_control_window = lambda *_: None  # type: ignore[method-assign]
        conversation.request(whole=False)
        conversation.until_closed()

    with (
        http2_peer(path, script, {SettingCodes.INITIAL_WINDOW_SIZE: 10}) as peer,
        sender(peer.target, timeout_ms=400) as one,
    ):
        one.post(b"1")
        one.done(0)
        one.post(bytes(1000))
        assert one.done(1)["outcome"] == "sent"
        one.counts(connects=2, sent_batches=2)


def test_no_stream_is_opened_while_the_peer_allows_none(path: Path) -> None:
    shut, seen = threading.Event(), []

    def allow(conversation: Conversation, streams: int) -> None:
        conversation.events.clear()
        conversation.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: streams})
        conversation.flush()
        conversation.until(h2.events.SettingsAcknowledged)

    def script(conversation: Conversation, number: int) -> None:
        conversation.answer(conversation.request().stream)
        allow(conversation, 0)
        shut.set()
        for _ in range(20):  # each round trip would bring the call with it
            conversation.events.clear()
            conversation.h2.ping(b"12345678")
            conversation.flush()
            conversation.until(h2.events.PingAckReceived)
        seen.append(len(conversation.requests))
        allow(conversation, 1)
        conversation.answer(conversation.request(known=1).stream)
        polite(conversation, number)

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"1")
        one.done(0)
        assert shut.wait(30)
        one.post(b"2")
        assert one.done(1)["outcome"] == "sent"
        one.counts(connects=1, retries=0)
    assert seen == [1]


@pytest.mark.parametrize("last", ["ours", "before"])
def test_goaway_in_the_middle_of_a_call_is_finished_or_repeated_elsewhere(path: Path, last: str) -> None:
    seen = []

    def script(conversation: Conversation, number: int) -> None:
        request = conversation.request()
        seen.append((number, request.message))
        if number == 0:
            conversation.h2.close_connection(last_stream_id=request.stream if last == "ours" else 0)
            goodbye = conversation.h2.data_to_send()
            conversation.link.sendall(goodbye)
            if last == "ours":
                conversation.link.sendall(plain_answer(request.stream))  # h2 is silent after its goodbye
            conversation.until_closed()
        else:
            conversation.answer(request.stream)
            conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"one")
        assert one.done(0)["outcome"] == "sent"
        one.post(b"two") if last == "ours" else None
        one.done(1) if last == "ours" else None
        one.counts(connects=2, retries=0 if last == "ours" else 1)
    assert seen == [(0, b"one"), (1, b"two" if last == "ours" else b"one")]


def test_a_refused_stream_is_repeated(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        conversation.h2.reset_stream(conversation.request().stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        conversation.flush()
        polite(conversation, number)

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        one.counts(retries=1, connects=1)


def test_an_answer_before_the_whole_request_ends_the_call(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        conversation.h2.increment_flow_control_window = lambda *_: None  # type: ignore[method-assign]
        request = conversation.request(whole=False)
        conversation.answer(request.stream, b"", trailers={"grpc-status": "3", "grpc-message": "too%20long"})
        conversation.until(h2.events.StreamReset)
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(bytes(200_000))
        assert one.done()["outcome"] == "rejected"
        one.counts(last_code=3, last_message="too long", retries=0)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"trailers": {}}, 2),
        ({"content_type": "text/html"}, 2),
        ({"status": "404", "trailers": {}}, 12),
        ({"status": "401", "trailers": {}}, 16),
        ({"message": b""}, 13),
        ({"message": b"\0\0\0\0\5abc"}, 13),
        ({"message": b"\1\0\0\0\0"}, 13),
        ({"trailers": {"grpc-status": "banana"}}, 2),
    ],
)
def test_an_answer_that_is_not_grpc_is_a_refusal_with_the_right_code(
    path: Path, answer: dict[str, object], code: int
) -> None:
    def script(conversation: Conversation, number: int) -> None:
        conversation.answer(conversation.request().stream, **answer)  # type: ignore[arg-type]
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans", 4)
        assert one.done()["outcome"] == "rejected"
        one.counts(last_code=code, rejected_items=4)


@pytest.mark.parametrize("status", ["429", "502", "503", "504"])
def test_a_proxy_that_is_overloaded_is_asked_again(path: Path, status: str) -> None:
    def script(conversation: Conversation, number: int) -> None:
        conversation.answer(conversation.request().stream, b"busy", status, "text/plain", {})
        polite(conversation, number)

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        one.counts(retries=1)


@pytest.mark.parametrize("size", [17_000, 70_000, 3_000_000])
@pytest.mark.parametrize("piece", [16_384, 1_000])
def test_huge_headers_are_refused_without_being_kept(path: Path, size: int, piece: int) -> None:
    def script(conversation: Conversation, number: int) -> None:
        block = b"\x88" + b"".join(literal(b"x%d" % each, b"y" * 1000) for each in range(size // 1000))
        with suppress(OSError):  # the sender leaves when it has had enough, and with the test in the middle of a call
            stream = conversation.request().stream
            conversation.link.sendall(headers(stream, block, end=True, piece=piece))
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        one.until(lambda: one.stats()["last_code"] != 0)
        assert one.stats()["last_code"] in (8, 14)  # too large, or the connection was dropped for it


@pytest.mark.parametrize(
    "noise",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"\0" * 100,
        b"\xff" * 100,
        bytes(range(256)),
        b"\0\0\0\4\0\0\0\0\0" + b"\0\0\4\1\5\0\0\0\1AAAA",  # settings, then rubbish as headers
        b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\0\0\0\0\0\1",  # data cut short
        b"\0\0\0\4\0\0\0\0\0" + b"\0\0\4\x08\0\0\0\0\1\0\0\0\0",  # a window of nothing
        b"",
    ],
    ids=["http1", "zeros", "ones", "counting", "headers", "cut", "window", "silence"],
)
def test_garbage_ends_the_connection_and_the_next_one_gets_the_request(path: Path, noise: bytes) -> None:
    def script(link: socket.socket, number: int) -> None:
        if number:
            return polite(Conversation(link, {}), number)
        link.recv(65536)
        link.sendall(noise)

    with raw_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] in ("sent", "rejected")  # rubbish headers reset the stream: INTERNAL
        assert len(peer.links) <= 2


def test_a_flood_of_pings_is_answered_and_does_not_stop_the_call(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        request = conversation.request()
        for count in range(300):
            conversation.h2.ping(count.to_bytes(8, "big"))
            conversation.flush()
        conversation.answer(request.stream)
        conversation.until(h2.events.PingAckReceived)
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"


@pytest.mark.parametrize("after", [0, 1])
def test_a_peer_that_closes_without_an_answer_is_asked_again(path: Path, after: int) -> None:
    def script(conversation: Conversation, number: int) -> None:
        if number:
            return polite(conversation, number)
        stream = conversation.request().stream
        if after:
            conversation.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
            conversation.flush()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        one.counts(retries=1, connects=2)


def test_a_peer_that_talks_on_without_answering_is_left_at_the_deadline(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        if number:
            return polite(conversation, number)
        conversation.request()
        with suppress(OSError):
            while True:
                conversation.link.sendall(frame(6, 0, 0, bytes(8)))  # PING, as fast as it goes

    with http2_peer(path, script) as peer, sender(peer.target, timeout_ms=300) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        one.counts(connects=2)


def test_a_host_that_never_accepts_is_left_at_the_deadline() -> None:
    with socket.socket() as full, socket.socket() as filler, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (filler, second):  # the queue is full: a further connection waits
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        with sender(f"127.0.0.1:{full.getsockname()[1]}", timeout_ms=200) as one:
            one.post(b"spans")
            one.until(lambda: one.stats()["refused"] > 0)
            one.counts(last_code=14, connects=0)
            assert "timed out" in one.stats()["last_message"]
