# SPDX-License-Identifier: Apache-2.0
"""Tells at once, and for nothing at rest, which files have come into some folders: inotify, by way of ctypes.

Not by a library: this descriptor is one more in the poll in which the process reader waits for its pidfds, where
watchdog would bring two threads and a queue. Where the kernel has none to give, the descriptor is -1 and nothing is
told: whoever watches looks from time to time.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_CREATE, _CLOSE_WRITE, _MOVED_TO, _ONLYDIR = 0x100, 0x8, 0x80, 0x1000000
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_EVENT: Final = struct.Struct("iIII")
_ROOM: Final = 64 << 10


class Watch:
    """Not thread-safe. `fd` is readable when there is news."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[int, str] = {}

    def add(self, folder: str) -> bool:
        """False: it can't be watched (now)."""
        if self.fd < 0:
            return False
        if folder in self._folders.values():
            return True
        wanted = _CREATE | _CLOSE_WRITE | _MOVED_TO | _ONLYDIR
        number = self._libc.inotify_add_watch(self.fd, os.fsencode(folder), wanted)
        if number >= 0:
            self._folders[number] = folder
        return bool(number >= 0)

    def news(self) -> set[tuple[str, str]] | None:
        """(folder, name) of what has come; None: too much to tell, look at everything."""
        found: set[tuple[str, str]] = set()
        lost = False
        while data := self._read():
            at = 0
            while at + _EVENT.size <= len(data):
                number, mask, _, size = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + size].rstrip(b"\0")
                at += _EVENT.size + size
                if mask & _IGNORED:  # the folder is gone
                    self._folders.pop(number, None)
                elif mask & _OVERFLOW:
                    lost = True
                elif number in self._folders:
                    found.add((self._folders[number], os.fsdecode(name)))
        return None if lost else found

    def _read(self) -> bytes:
        try:
            return os.read(self.fd, _ROOM)
        except OSError:
            return b""

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
