# SPDX-License-Identifier: Apache-2.0
"""Queries from any thread, each with a cursor of its own, and the promise that no partition goes while one reads it.

Each query notes which generation of the views it began with; a partition that left the views with generation n may go
when no query of an earlier generation runs any more. The writer never waits for a reader.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

from pillion_collector.store_types import StoreError


class Readers:
    """Hands out cursors of one connection. `on_free` is called when the last query of an old generation has ended."""

    def __init__(self, on_free: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._on_free = on_free
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._busy: dict[int, duckdb.DuckDBPyConnection] = {}
        self._running: Counter[int] = Counter()
        self._changed = threading.Condition(self._lock)
        self.generation = 0

    def open(self, connection: duckdb.DuckDBPyConnection) -> None:
        """From now on queries go to this database."""
        with self._lock:
            self._connection = connection.cursor()

    def next_generation(self) -> int:
        """The views have changed. Returns the number that `is_free` asks for."""
        with self._lock:
            self.generation += 1
            return self.generation

    def is_free(self, generation: int) -> bool:
        """Has every query ended that began before this generation?"""
        with self._lock:
            return not any(number and begun < generation for begun, number in self._running.items())

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one query."""
        with self._lock:
            if self._connection is None:
                raise StoreError("closed", "the store is closed, or is being opened again after trouble with its disk")
            cursor = self._idle.pop() if self._idle else self._connection.cursor()
            home, generation = self._connection, self.generation
            self._running[generation] += 1
            self._busy[id(cursor)] = cursor
        try:
            yield cursor
        finally:
            with self._lock:
                del self._busy[id(cursor)]
                self._running[generation] -= 1
                self._running += Counter()  # forgets what is zero
                if home is self._connection:
                    self._idle.append(cursor)
                old = generation < self.generation
                self._changed.notify_all()
            if home is not self._connection:
                cursor.close()
            if old:
                self._on_free()

    def close(self, timeout_s: float) -> None:
        """No more queries; what runs has `timeout_s` to end, then is interrupted."""
        with self._lock:
            connection, self._connection = self._connection, None
            idle, self._idle = self._idle, []
            if not self._changed.wait_for(lambda: not self._busy, timeout_s):
                for cursor in self._busy.values():
                    cursor.interrupt()
                self._changed.wait_for(lambda: not self._busy, timeout_s)
        for open_one in (*idle, connection):
            if open_one is not None:
                open_one.close()
