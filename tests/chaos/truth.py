# SPDX-License-Identifier: Apache-2.0
"""truth: what a process really did, told without pillion: a mapped file that survives any death of its process.

Each thread has a cell of two numbers: `begun` is set before a numbered span is ended, `ended` after it. A span carries
its process's key, its thread's cell and its number as attributes, so that the store can be held against these files.
Used by the applications of tests/apps/chaos as well (standard library only). A fork's child begins a file of its own.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = "CHAOS_TRUTH"  # environment variable: where the files go
KEY, CELL, NUMBER = "chaos.process", "chaos.cell", "chaos.number"
_HEAD = struct.Struct("<8s16sQQQ")
_MAGIC = b"truth 1\n"
_FIRST = 128  # bytes before the cells
CELLS = 248
_BYTES = _FIRST + CELLS * 16
ROOM = 1000  # rings; the limit is 4096
MIXED = 1  # flag: the process records spans without a number too


@dataclass(frozen=True)
class Account:
    """One process as its file tells it."""

    key: str
    pid: int
    start_ticks: int
    mixed: bool
    cells: tuple[tuple[int, int], ...]  # (begun, ended) of each thread

    @property
    def ended(self) -> int:
        return sum(ended for _, ended in self.cells)

    @property
    def open(self) -> int:
        """Spans in whose end the process died: nobody can say whether they were recorded."""
        return sum(begun - ended for begun, ended in self.cells)


class Book:
    """The file of this process, made when it is first needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.mixed = False
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """A child has written nothing yet."""
        self.lock = threading.Lock()
        self.local = threading.local()
        self.numbers: memoryview | None = None
        self.taken = 0
        self.key = ""

    def cell(self) -> int:
        """The index of this thread's two numbers."""
        found: int | None = getattr(self.local, "at", None)
        if found is None:
            with self.lock:
                if self.numbers is None:
                    self.numbers = self._open()
                found = self.local.at = self.taken
                self.taken += 1
            if found >= CELLS:
                raise RuntimeError("more threads than cells")
        return found

    def _open(self) -> memoryview:
        key = os.urandom(8).hex()
        stat = Path("/proc/self/stat").read_bytes()
        ticks = int(stat.rpartition(b")")[2].split()[19])
        path = os.path.join(os.environ[FOLDER], key)
        with open(path + ".new", "w+b") as file:
            file.truncate(_BYTES)
            mapped = mmap.mmap(file.fileno(), _BYTES)
        mapped[: _HEAD.size] = _HEAD.pack(_MAGIC, key.encode(), os.getpid(), ticks, MIXED if self.mixed else 0)
        os.rename(path + ".new", path + ".truth")
        self.key = key
        return memoryview(mapped)[_FIRST:].cast("Q")


book = Book()


def span(name: str, **attributes: object) -> int:
    """One numbered span from beginning to end; its number."""
    from pillion import _native

    at = book.cell()
    numbers = book.numbers
    assert numbers is not None
    number = numbers[2 * at + 1] + 1
    one = _native.begin(name)
    one.set(KEY, book.key)
    one.set(CELL, at)
    one.set(NUMBER, number)
    if attributes:
        one.set_many(attributes)
    numbers[2 * at] = number
    one.end()
    numbers[2 * at + 1] = number
    return number


def wait_for_room() -> None:
    """Returns when the folder of rings is far from full: then rings are private, and of those nobody can tell."""
    while len(os.listdir(os.path.join(os.environ["PILLION_RUN_DIR"], "rings"))) > ROOM:
        time.sleep(0.05)


def read(folder: Path) -> Iterator[Account]:
    """All accounts of a folder."""
    for path in sorted(folder.glob("*.truth")):
        data = path.read_bytes()
        magic, key, pid, ticks, flags = _HEAD.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError(f"{path} is no account")
        numbers = memoryview(data)[_FIRST:].cast("Q").tolist()
        cells = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        yield Account(key.decode(), pid, ticks, bool(flags & MIXED), tuple(one for one in cells if one != (0, 0)))
