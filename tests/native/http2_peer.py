# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP/2 server for the sender's tests: every frame is the test's own choice (h2), or no HTTP/2 at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings

PATIENCE = 30.0
EMPTY = b"\0\0\0\0\0"  # gRPC's frame of an empty message
Settings = dict[h2.settings.SettingCodes | int, int]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame by hand, for what h2 refuses to send."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header in HPACK's plainest form."""

    def text(of: bytes) -> bytes:
        if len(of) < 127:
            return bytes([len(of)]) + of
        rest, size = len(of) - 127, bytearray([127])
        while rest > 127:
            size.append(rest & 127 | 128)
            rest >>= 7
        return bytes(size) + bytes([rest]) + of

    return b"\0" + text(name) + text(value)


def headers(stream: int, block: bytes, end: bool = False, piece: int = 16384) -> bytes:
    """HEADERS, with as many CONTINUATION frames as it takes."""
    pieces = [block[at : at + piece] for at in range(0, len(block), piece)]
    kinds = [(1, end)] + [(9, 0)] * (len(pieces) - 1)
    last = len(pieces) - 1
    return b"".join(
        frame(kind, flags | (4 if number == last else 0), stream, each)
        for number, (each, (kind, flags)) in enumerate(zip(pieces, kinds, strict=True))
    )


def plain_answer(stream: int, *more: tuple[bytes, bytes]) -> bytes:
    """A whole answer, OK, by hand. 0x88 is the static table's ":status 200"."""
    head = headers(stream, b"\x88" + literal(b"content-type", b"application/grpc"))
    trailers = b"".join(literal(*each) for each in ((b"grpc-status", b"0"), *more))
    return head + frame(0, 0, stream, EMPTY) + headers(stream, trailers, end=True)


@dataclass
class Request:
    """A call as far as it came."""

    stream: int
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    pieces: int = 0  # DATA frames

    @property
    def message(self) -> bytes:
        return bytes(self.body[5:])


class Conversation:
    """One accepted connection."""

    def __init__(self, link: socket.socket, settings: Settings, window_step: int = 0) -> None:
        self.link = link
        self.window_step = window_step  # 0: as much as came
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(settings)  # in force once the sender has acknowledged them
        self.requests: dict[int, Request] = {}
        self.events: list[h2.events.Event] = []
        self.flush()

    def flush(self) -> None:
        self.link.sendall(self.h2.data_to_send())

    def read(self) -> bool:
        """One read and what follows from it. False: the sender has closed."""
        data = self.link.recv(65536)
        if not data:
            return False
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, h2.events.RequestReceived):
                self.requests[event.stream_id] = Request(event.stream_id, dict(event.headers))  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                self._data(event)
            if isinstance(event, h2.events.StreamEnded):
                self.requests[event.stream_id].ended = True
        with suppress(BrokenPipeError):  # acknowledgements, which a sender that leaves does not wait for
            self.flush()
        return True

    def _data(self, event: h2.events.DataReceived) -> None:
        request = self.requests[event.stream_id]
        request.body += event.data
        request.pieces += 1
        count = event.flow_controlled_length
        if count:
            self.h2.increment_flow_control_window(count)
        if count and event.stream_ended is None:
            self.h2.increment_flow_control_window(self.window_step or count, event.stream_id)

    def request(self, whole: bool = True, known: int | None = None) -> Request:
        """The next call (after `known` ones), read to its end, or only to its headers."""
        known = len(self.requests) if known is None else known
        while True:
            news = list(self.requests.values())[known:]
            if news and (news[0].ended or not whole):
                return news[0]
            if not self.read():
                raise ConnectionError("the sender closed in the middle of a request")

    def answer(
        self,
        stream: int,
        message: bytes = EMPTY,
        status: str = "200",
        content_type: str = "application/grpc",
        trailers: dict[str, str] | None = None,
    ) -> None:
        """A regular answer, of which every part can be made irregular."""
        self.h2.send_headers(stream, [(":status", status), ("content-type", content_type)])
        end = trailers == {}
        self.h2.send_data(stream, message, end_stream=end)
        if not end:
            said = {"grpc-status": "0"} if trailers is None else trailers
            self.h2.send_headers(stream, list(said.items()), end_stream=True)
        self.flush()

    def until_closed(self) -> None:
        try:
            while self.link.recv(65536):
                pass
        except OSError:
            pass

    def until(self, kind: type[h2.events.Event]) -> h2.events.Event:
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    return event
            if not self.read():
                raise ConnectionError("the sender closed")


Script = Callable[[Conversation, int], None]
RawScript = Callable[[socket.socket, int], None]


class Peer:
    """Listens; each connection runs `script` with the number of the connection in a thread of its own."""

    def __init__(self, path: Path | None, script: RawScript) -> None:
        self.script = script
        self.errors: list[BaseException] = []
        self.links: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(str(path) if path else ("127.0.0.1", 0))
        self.target = f"unix:{path}" if path else f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.listener.listen(8)
        self.accepter = threading.Thread(target=self._accept, daemon=True)
        self.accepter.start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            link.settimeout(PATIENCE)
            self.links.append(link)
            thread = threading.Thread(target=self._serve, args=(link, len(self.links) - 1), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, link: socket.socket, number: int) -> None:
        try:
            self.script(link, number)
        except BaseException as error:
            self.errors.append(error)
        finally:
            link.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepter.join(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)


@contextmanager
def raw_peer(path: Path | None, script: RawScript) -> Iterator[Peer]:
    """A peer that speaks as it likes, on a unix socket, or without a path by TCP. Its own errors fail the test."""
    peer = Peer(path, script)
    try:
        yield peer
    finally:
        peer.close()
    assert not peer.errors, peer.errors


@contextmanager
def http2_peer(
    path: Path | None, script: Script, settings: Settings | None = None, window_step: int = 0
) -> Iterator[Peer]:
    """A peer that speaks HTTP/2 with the settings given."""

    def converse(link: socket.socket, number: int) -> None:
        script(Conversation(link, settings or {}, window_step), number)

    with raw_peer(path, converse) as peer:
        yield peer


def polite(conversation: Conversation, number: int = 0) -> None:
    """Answers every call with OK."""
    try:
        while True:
            conversation.answer(conversation.request().stream)
    except ConnectionError:
        pass


def relay(to: str, step: int = 1) -> RawScript:
    """A script: passes everything on to another unix socket, `step` bytes at a time, both ways."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                for at in range(0, len(data), step):
                    sink.sendall(data[at : at + step])
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def script(link: socket.socket, number: int) -> None:
        with socket.socket(socket.AF_UNIX) as onward:
            onward.connect(to)
            back = threading.Thread(target=pump, args=(onward, link), daemon=True)
            back.start()
            pump(link, onward)
            back.join(PATIENCE)

    return script
