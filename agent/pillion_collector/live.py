# SPDX-License-Identifier: Apache-2.0
"""Live changes for the browser (server-sent events): one question to the store for each change, however many listen.

Runs on the event loop. Nobody asks on a clock: a commit calls `touch`, at most two events a second leave, and with no
listener nothing is asked at all. A comment every 15 s keeps proxies and dead connections honest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson

GAP_S = 0.5
HEARTBEAT_S = 15.0
LISTENERS = 64


class Live:
    """Turns commits into events. `summary` answers what the event says."""

    def __init__(self, summary: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._summary = summary
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._closed = False
        self._last = b""

    @property
    def listeners(self) -> int:
        return len(self._queues)

    @property
    def full(self) -> bool:
        return len(self._queues) >= LISTENERS

    def touch(self) -> None:
        """Something was stored, or a process came or went."""
        if not self._queues or self._closed:
            return
        if self._task is not None and not self._task.done():
            self._again = True
        else:
            self._task = asyncio.get_running_loop().create_task(self._announce())

    def close(self) -> None:
        """Ends every stream, so that the server need not wait for its listeners."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for queue in self._queues:
            _put(queue, None)

    async def events(self) -> AsyncIterator[bytes]:
        """The stream of one listener. The first event tells the state of now."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._queues.add(queue)
        try:
            yield b"retry: 2000\n\n" + _event(await self._summary())
            while not self._closed:
                try:
                    message = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    message = b": alive\n\n"
                if message is None:
                    return
                yield message
        finally:
            self._queues.discard(queue)

    async def _announce(self) -> None:
        while True:
            self._again = False
            message = _event(await self._summary())
            if message != self._last:
                self._last = message
                for queue in self._queues:
                    _put(queue, message)
            await asyncio.sleep(GAP_S)
            if not self._again:
                return


def _put(queue: asyncio.Queue[bytes | None], message: bytes | None) -> None:
    """The newest message wins: a slow listener never holds more than one."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(message)


def _event(summary: dict[str, Any]) -> bytes:
    return b"event: change\ndata: " + orjson.dumps(summary) + b"\n\n"
