# SPDX-License-Identifier: Apache-2.0
"""The folder of rings, as the adopter sees it: whose owner is gone and how it ended, and what is no ring at all.

The kernel's lock tells that an owner is gone; the process reader tells how, or that the process is still there: then it
became another program (exec), or is on its way out. What can't be read as a ring is renamed, so that nobody looks at it
again, and removed after an hour, as are the leftovers of processes that were killed while they made a ring.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pillion_collector import neighbours, rings
from pillion_collector.neighbours import RING, File, Troubles
from pillion_collector.processes_known import Process
from pillion_collector.processes_read import Stat, read_stat

log = logging.getLogger("pillion.adopt")
SOON_S: Final = 0.05  # a process is on its way out: look again
UNWATCHED_S: Final = 1.0  # its end is told by nobody: the lock must be asked
REST_S: Final = 5.0
EXEC_S: Final = 0.5  # this long without the lock and still alive: it became another program
LATE_S: Final = 10.0  # the process reader may be busy with all the others
LEAVING_S: Final = 3.0  # the same, when the ring was left in order
EXITING_S: Final = 30.0  # the kernel is taking the process down
KEEP_S: Final = 3600.0
ASIDE: Final = 32  # files that are kept for a look; more are removed at once
_TRIES: Final = 5
_ASIDE: Final = ".bad"


@dataclass(frozen=True)
class Dead:
    """A ring whose owner is gone."""

    path: str
    process: str
    exit: dict[str, Any]
    pid: int  # as the node calls it, where that is known


class RingFolder:
    """One adopter a folder: `hold` says whether it is ours. Not thread-safe."""

    def __init__(self, path: Path, process_of: Callable[[str], Process | None], counts: Counter[str]) -> None:
        self._path, self._process_of, self._counts = path, process_of, counts
        self._lock = -1
        self._free_since: dict[str, float] = {}  # path -> when its lock was first seen free
        self._tries: Counter[str] = Counter()
        self._troubles = Troubles()
        self._scanned = 0.0

    def hold(self) -> bool:
        """Takes the folder's lock, which another collector may have.

        A file beside it: the folder itself anybody could lock who may look into it.
        """
        if self._lock >= 0 and _is_there(self._lock):
            return True
        self.close()
        try:
            self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                self.trouble("held", f"{self._path}: another collector looks after the rings of ended processes")
            self.close(ours=False)
            return False
        if not _is_there(self._lock):  # its holder has just left
            self.close(ours=False)
        return self._lock >= 0

    def close(self, ours: bool = True) -> None:
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                if ours:
                    os.unlink(f"{self._path}.lock")
            os.close(self._lock)
            self._lock = -1

    def dead(self, now_s: float) -> tuple[list[Dead], float]:
        """What to adopt, and after how many seconds to look again if nobody calls."""
        every = now_s >= self._scanned + REST_S
        self._scanned = now_s if every else self._scanned
        found: list[Dead] = []
        wait_s, seen = REST_S, set()
        for file in neighbours.find(self._path, RING, self._troubles):
            seen.add(file.path)
            one, soon_s = self._look(file, every, now_s)
            wait_s = min(wait_s, soon_s)
            if one is not None:
                found.append(one)
        if every:
            self._sweep_all()
        self._free_since = {path: since for path, since in self._free_since.items() if path in seen}
        return found, wait_s

    def _look(self, file: File, every: bool, now_s: float) -> tuple[Dead | None, float]:
        path, name = file.path, str(file.who)
        process = self._process_of(name)
        watched = process is not None and process.alive and process.pidfd >= 0
        if watched and not every and path not in self._free_since:
            return None, REST_S
        try:
            if rings.owner_alive(path):
                self._free_since.pop(path, None)
                return None, REST_S if watched else UNWATCHED_S
            exit = self._fate(file, process, now_s - self._free_since.setdefault(path, now_s))
        except rings.RingError as error:
            self.unreadable(path, error)
            return None, REST_S
        return (
            (None, SOON_S)
            if exit is None
            else (Dead(path, name, exit, process.pid if process else file.who.pid), REST_S)
        )

    def _fate(self, file: File, process: Process | None, free_s: float) -> dict[str, Any] | None:
        """None: not yet known."""
        if process is not None and not process.alive:
            return process.exit or {"unknown": True}
        if process is not None and process.leaving_s is not None:
            return None
        stat = _stat(file, process)
        if stat is None or stat.state in "ZX":
            watched = process is not None and process.pidfd >= 0
            # The process reader will know in a moment, or never; and for certain if it has a pidfd.
            return None if free_s < (LATE_S if watched else EXEC_S) else {"unknown": True}
        if stat.exiting and free_s < EXITING_S:
            return None
        left = rings.peek(file.path).ended
        if free_s < (LEAVING_S if left else EXEC_S):
            return None
        return {"unknown": True} if left else {"exec": True}

    # --- what is no ring

    def unreadable(self, path: str, error: Exception) -> None:
        """Counted; put aside when it will never be readable, or too often was not."""
        if not os.path.lexists(path):
            return
        self._tries[path] += 1
        if self._tries[path] < _TRIES and not (isinstance(error, rings.RingError) and error.lasting):
            self.trouble("unreadable", str(error))
            return
        self._tries.pop(path)
        self.trouble("aside", f"{error}; it is put aside, and removed after an hour")
        aside = self._path / f".{os.path.basename(path)}{_ASIDE}"
        with contextlib.suppress(OSError):
            if self._counts["aside"] > ASIDE:
                os.unlink(path)
            os.rename(path, aside)

    def _sweep_all(self) -> None:
        ignored = 0
        with contextlib.suppress(OSError), os.scandir(self._path) as entries:
            for number, entry in enumerate(entries):
                if number >= neighbours.LOOKED_AT:
                    break
                if RING.fullmatch(entry.name) is None:
                    ignored += 1
                    self._sweep(entry)
        self._counts["ignored"] = ignored

    def _sweep(self, entry: os.DirEntry[str]) -> None:
        """Leftovers: what was put aside, and rings that were never finished."""
        if not (entry.name.startswith(".") and entry.name.endswith((_ASIDE, ".tmp"))):
            return
        with contextlib.suppress(OSError):
            if entry.stat(follow_symlinks=False).st_ctime > time.time() - KEEP_S:  # its user may set the other times
                return
            if entry.name.endswith(".tmp") and _is_locked(entry.path):
                return
            os.rmdir(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
            self._counts["removed"] += 1

    def trouble(self, reason: str, text: str) -> None:
        """Counted always, said once."""
        self._counts[reason] += 1
        if self._counts[reason] == 1:
            log.warning("%s (further ones are only counted)", text)


def _stat(file: File, process: Process | None) -> Stat | None:
    """Of the very process, if /proc shows it."""
    here = process.here if process is not None else file.who.pid if not file.who.namespace else None
    stat = read_stat(here) if here is not None else None
    return stat if stat is not None and stat.start_ticks == file.who.start_ticks else None


def _is_there(lock: int) -> bool:
    return os.fstat(lock).st_nlink > 0


def _is_locked(path: str) -> bool:
    try:
        return rings.owner_alive(path)
    except rings.RingError:
        return False
