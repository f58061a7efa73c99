# SPDX-License-Identifier: Apache-2.0
"""The sender when a peer resets, half-closes, answers early or late, changes its windows, or floods it with frames."""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

import h2.errors
import h2.events
import psutil
import pytest
from h2.settings import SettingCodes

from tests.native.grpc_peer import reference, sender
from tests.native.http2_peer import (
    EMPTY,
    Conversation,
    frame,
    headers,
    http2_peer,
    literal,
    plain_answer,
    polite,
    raw_peer,
)

MiB = 1 << 20
CANCELLED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 1, 7, 8, 13, 14
OF_RESET = {7: UNAVAILABLE, 8: CANCELLED, 11: RESOURCE_EXHAUSTED, 12: PERMISSION_DENIED}  # gRPC's table; else INTERNAL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peer.sock"


@pytest.mark.parametrize("error", [*range(14), 0xFFFFFFFF])
def test_a_reset_stream_is_repeated_or_refused_by_its_error(path: Path, error: int) -> None:
    def script(conversation: Conversation, number: int) -> None:
        stream = conversation.request().stream
        conversation.link.sendall(frame(3, 0, stream, struct.pack(">I", error)))
        polite(conversation)

    code = OF_RESET.get(error, INTERNAL)
    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans", 3)
        if code in (CANCELLED, UNAVAILABLE):
            assert one.done()["outcome"] == "sent"
            one.counts(retries=1, connects=1, sent_items=3)
        else:
            assert one.done()["outcome"] == "rejected"
            one.counts(retries=0, rejected_items=3, last_code=code)
        one.post(b"more")
        assert one.done(1)["outcome"] == "sent"
        one.counts(connects=1)  # a stream's end is not the connection's


@pytest.mark.parametrize("moment", ["at once", "after the headers", "in the middle", "after the whole"])
def test_a_connection_that_is_reset_is_made_again_and_the_request_repeated(moment: str) -> None:
    def script(link: socket.socket, number: int) -> None:
        if number:
            return polite(Conversation(link, {}))
        if moment != "at once":
            conversation = Conversation(link, {})
            if moment == "in the middle":
                conversation.h2.increment_flow_control_window = lambda *_: None  # type: ignore[method-assign]
            conversation.request(whole=moment == "after the whole")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close sends RST

    with raw_peer(None, script) as peer, sender(peer.target) as one:
        one.post(os.urandom(200_000))
        assert one.done()["outcome"] == "sent"
        one.counts(retries=1)
        assert one.stats()["connects"] + one.stats()["refused"] == 2  # "at once" may be before it stood


@pytest.mark.parametrize("moment", ["at once", "after the settings", "after the headers", "after the message"])
def test_a_peer_that_half_closes_before_its_answer_is_whole_is_left(path: Path, moment: str) -> None:
    def script(link: socket.socket, number: int) -> None:
        if number:
            return polite(Conversation(link, {}))
        if moment != "at once":
            conversation = Conversation(link, {})
            stream = conversation.request().stream
            if moment != "after the settings":
                conversation.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
            if moment == "after the message":
                conversation.h2.send_data(stream, EMPTY)
            conversation.flush()
        link.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while link.recv(65536):  # goes on reading, for ever
                pass

    with raw_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        one.counts(connects=2, retries=1)


def test_a_peer_that_half_closes_after_its_answer_gets_the_next_request_on_a_new_connection(path: Path) -> None:
    def script(link: socket.socket, number: int) -> None:
        conversation = Conversation(link, {})
        if number:
            return polite(conversation)
        conversation.answer(conversation.request().stream)
        link.shutdown(socket.SHUT_WR)
        conversation.until_closed()

    with raw_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"one")
        assert one.done(0)["outcome"] == "sent"
        one.post(b"two")
        assert one.done(1)["outcome"] == "sent"
        one.counts(connects=2)


def test_ok_before_the_body_was_read_counts_and_the_connection_goes_on(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        giving = conversation.h2.increment_flow_control_window
        conversation.h2.increment_flow_control_window = lambda *_: None  # type: ignore[method-assign]
        conversation.answer(conversation.request(whole=False).stream)
        conversation.until(h2.events.StreamReset)
        conversation.h2.increment_flow_control_window = giving  # type: ignore[method-assign]
        giving(65535)
        conversation.flush()
        conversation.answer(conversation.request(known=1).stream)
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(bytes(200_000))
        assert one.done(0)["outcome"] == "sent"
        one.post(b"next")
        assert one.done(1)["outcome"] == "sent"
        one.counts(connects=1, retries=0)


def test_an_answer_in_slow_pieces_is_one_answer(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        whole = headers(
            conversation.request().stream, b"\x08\x03103"
        )  # ":status 103": there may be some of these before
        whole += plain_answer(1)
        for at in range(len(whole)):
            conversation.link.sendall(whole[at : at + 1])
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        one.counts(retries=0, attempts=1)


def test_a_window_that_shrinks_below_zero_in_the_middle_is_respected(path: Path) -> None:
    came = []

    def script(conversation: Conversation, number: int) -> None:
        giving = conversation.h2.increment_flow_control_window
        conversation.h2.increment_flow_control_window = lambda *_: None  # type: ignore[method-assign]
        request = conversation.request(whole=False)
        while len(request.body) < 65_535:  # all that the first window allows
            conversation.read()
        conversation.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100})
        conversation.flush()
        conversation.until(h2.events.SettingsAcknowledged)
        came.append(len(request.body))
        conversation.h2.increment_flow_control_window = giving  # type: ignore[method-assign]
        giving(1 << 20)
        giving(1 << 20, request.stream)
        conversation.flush()
        while not request.ended:
            conversation.read()
        came.append(len(request.message))
        conversation.answer(request.stream)
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(os.urandom(150_000))
        assert one.done()["outcome"] == "sent"
        one.counts(connects=1, retries=0)
    assert came == [65_535, 150_000]


@pytest.mark.parametrize(
    "sin",
    [
        frame(8, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2,  # a window beyond 2^31
        frame(4, 0, 0, struct.pack(">HI", 5, 1)),  # MAX_FRAME_SIZE of 1
        frame(4, 0, 0, struct.pack(">HI", 4, 0xFFFFFFFF)),  # INITIAL_WINDOW_SIZE beyond 2^31
        frame(5, 4, 1, struct.pack(">I", 2) + b"\x82"),  # PUSH_PROMISE, which was forbidden
        frame(0, 0, 99, b"data of a stream that isn't"),
        frame(9, 4, 1, b""),  # CONTINUATION of nothing
        frame(6, 0, 0, b"short"),  # PING of five bytes
        b"\xff\xff\xff\0\0\0\0\0\1",  # DATA of 16 MB
    ],
    ids=["window", "frame-size", "initial-window", "push", "stranger", "continuation", "ping", "huge"],
)
def test_a_sin_against_http2_ends_the_connection_and_the_request_is_repeated(path: Path, sin: bytes) -> None:
    def script(conversation: Conversation, number: int) -> None:
        if number:
            return polite(conversation)
        conversation.request()
        conversation.link.sendall(sin)
        conversation.until_closed()

    with http2_peer(path, script) as peer, sender(peer.target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        one.counts(connects=2, retries=1)


FLOODS = {
    "settings": frame(4, 0, 0, struct.pack(">HI", 3, 100)),
    "empty settings": frame(4, 0, 0, b""),
    "pings": frame(6, 0, 0, bytes(8)),
    "windows": frame(8, 0, 0, struct.pack(">I", 1)),
    "priorities": frame(2, 0, 1, struct.pack(">IB", 0, 1)),
    "unknown": frame(200, 0, 0, b"?" * 100),
    "empty data": frame(0, 0, 1, b""),
    "headers": headers(1, b"\x88"),
    "goaways": frame(7, 0, 0, struct.pack(">II", 0x7FFFFFFF, 0) + b"bye" * 100),
    "endless block": frame(9, 0, 1, literal(b"x", b"y" * 1000)),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_frames_ends_by_the_deadline_at_the_latest_and_takes_no_memory(path: Path, kind: str) -> None:
    flood = FLOODS[kind] * (1 + 8192 // len(FLOODS[kind]))

    def script(conversation: Conversation, number: int) -> None:
        if number:
            return polite(conversation)
        conversation.request()
        if kind == "endless block":
            conversation.link.sendall(frame(1, 0, 1, b"\x88"))
        reader = threading.Thread(target=conversation.until_closed, daemon=True)  # or both sides would wait
        reader.start()
        with suppress(OSError):
            while True:
                conversation.link.sendall(flood)
        reader.join()

    with http2_peer(path, script) as peer, sender(peer.target, timeout_ms=700) as one:
        rest = psutil.Process(one.process.pid).memory_info().rss
        one.post(b"spans")
        assert one.done()["outcome"] in ("sent", "rejected")  # some break the stream alone: INTERNAL
        assert psutil.Process(one.process.pid).memory_info().rss < rest + 48 * MiB
        one.post(b"more")
        assert one.done(1)["outcome"] == "sent"


def test_under_thread_sanitizer_resets_restarts_forks_and_floods_race_with_nothing(path: Path) -> None:
    def script(conversation: Conversation, number: int) -> None:
        stream = conversation.request().stream
        if number % 3 == 0:
            conversation.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            conversation.flush()
        for count in range(200):
            conversation.h2.ping(count.to_bytes(8, "big"))
        with suppress(ConnectionError):  # it may be gone by now
            conversation.flush()
        if number % 3 == 1:
            return
        if number % 3 == 2:
            conversation.answer(stream)
        polite(conversation)

    with http2_peer(path, script) as peer, sender(peer.target, sanitize="thread", idle_ms=5, interval_ms=5) as one:
        for turn in range(12):
            one.post(b"spans %d" % turn)
            one.say("fork")
            one.say("hurry")  # after a fork nothing starts by itself
            assert one.done(turn)["outcome"] == "sent"


def test_under_thread_sanitizer_a_server_that_comes_and_goes_loses_no_request(tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/collector.sock"
    with sender(target, sanitize="thread", backoff_max_ms=30) as one:
        for turn in range(4):
            one.post(b"%d" % turn)
            with reference(target) as server:
                assert one.done(turn)["outcome"] == "sent"
                assert server.got == [b"%d" % turn]
            Path(target[5:]).unlink(missing_ok=True)
