# SPDX-License-Identifier: Apache-2.0
"""The files of a folder in which processes of many users put theirs: names, owners, and nothing that does harm.

Whoever may write there may be hostile: make links, FIFOs, folders, a million files, files in another's name. So what is
looked at is bounded, for each user too: one who fills the folder hides the files of nobody else.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from pillion_collector.pids import Name

LOOKED_AT: Final = 100_000  # entries of a folder
FILES: Final = 10_000  # that count
A_USER: Final = 4096  # of them, in a shared folder
_WHO: Final = r"(\d{1,10})-(\d{1,20})(?:-(\d{1,10}))?"  # pid, start ticks, pid namespace
RECORD: Final = re.compile(_WHO + r"\.json")
RING: Final = re.compile(_WHO + r"(?:\.\d{1,4})?\.ring")  # .1, .2 …: more rings of one process


class File(NamedTuple):
    """One file and whose it says it is; `who.uid` is who really owns it."""

    path: str
    who: Name


class Troubles(Counter[str]):
    """What went wrong, by reason. `once` counts one thing one time, however often it is met."""

    _KEPT: Final = 10_000

    def __init__(self) -> None:
        super().__init__()
        self._met: set[tuple[str, object]] = set()

    def once(self, reason: str, which: object) -> bool:
        """False: it was counted before."""
        if (reason, which) in self._met:
            return False
        if len(self._met) >= self._KEPT:
            self._met.clear()
        self._met.add((reason, which))
        self[reason] += 1
        return True


def who(name: str, pattern: re.Pattern[str], uid: int | None = None) -> Name | None:
    """Whose file is called so."""
    match = pattern.fullmatch(name)
    return Name(int(match[1]), int(match[2]), int(match[3] or 0), uid) if match else None


def find(folder: str | os.PathLike[str], pattern: re.Pattern[str], troubles: Troubles) -> Iterator[File]:
    """The files of that form. What is no file of ours, or too many, is counted and passed over."""
    shared, many, found = _is_shared(folder), Counter[int](), 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= LOOKED_AT or found >= FILES:
                troubles.once("crowded", os.fspath(folder))
                return
            one = who(entry.name, pattern)
            if one is None:
                continue
            if shared and (uid := _owner(entry)) is not None:
                many[uid] += 1
                if many[uid] > A_USER:
                    troubles.once("crowded", (os.fspath(folder), uid))
                    continue
                one = replace(one, uid=uid)
            found += 1
            yield File(entry.path, one)


def read(path: str, limit: int) -> tuple[bytes, os.stat_result] | None:
    """The beginning of a small file. None: it is not there, or no regular file, and never one that a link leads to."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        about = os.fstat(descriptor)
        return (os.read(descriptor, limit), about) if stat.S_ISREG(about.st_mode) else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def owner(path: str) -> int | None:
    """The user that a file belongs to, not followed."""
    with contextlib.suppress(OSError):
        return os.lstat(path).st_uid
    return None


def _owner(entry: os.DirEntry[str]) -> int | None:
    with contextlib.suppress(OSError):
        return entry.stat(follow_symlinks=False).st_uid
    return None


def _is_shared(folder: str | os.PathLike[str]) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.stat(folder).st_mode & 0o022)
    return False
