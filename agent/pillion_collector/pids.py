# SPDX-License-Identifier: Apache-2.0
"""Which process of this machine is meant: a pid counts within its pid namespace only, and ours may be another one.

A process of a namespace below ours has a pid here too: /proc/PID/status lists all its pids (NSpid), the innermost last,
and with the start time that is nearly a name. Two containers that started in the same tick are told apart by what else
is readable: the namespace's own link, owner, container. What can't be told for sure is not found; never a wrong one
(nor is one in a time namespace of its own, where the start has another number). All of /proc is looked through only for
who is not known yet, and of that only what is new.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final

from pillion import rundir

from pillion_collector.containers import container_of
from pillion_collector.processes_read import read_stat

_STATUS_BYTES: Final = 16 << 10


@dataclass(frozen=True)
class Name:
    """What a process calls itself. `namespace` 0: the machine's first, or not known. The rest only helps to find it."""

    pid: int
    start_ticks: int
    namespace: int = 0
    uid: int | None = None  # of a file that it made
    container: str | None = None

    def __str__(self) -> str:
        return rundir.name(self.pid, self.start_ticks, self.namespace)


class Pids:
    """One thread. Remembers what it read of each process of another namespace."""

    def __init__(self, own: int | None = None) -> None:
        self._own = _first(rundir.pid_namespace() if own is None else own)
        self._inodes: dict[int, int] = {}  # pid here -> inode of its folder in /proc: another process has another one
        self._inner: dict[int, tuple[int, int]] = {}  # pid here -> (innermost pid, start ticks)
        self._scanned_s = -1.0

    def ours(self, namespace: int) -> bool:
        """Whether a pid of that namespace means the same here."""
        return _first(namespace) == self._own

    def hidden(self, namespace: int) -> bool:
        """Whether its processes may live where /proc doesn't show them."""
        return self._own != 0 and not self.ours(namespace)

    def find(self, name: Name, noticed_s: float | None = None) -> int | None:
        """Its pid here; None: it is gone, or can't be seen. `noticed_s`: since when (monotonic) we know of it."""
        if self.ours(name.namespace):
            stat = read_stat(name.pid)
            return name.pid if stat is not None and stat.start_ticks == name.start_ticks else None
        if _first(name.namespace) == 0:
            return None  # above ours
        wanted = (name.pid, name.start_ticks)
        since_s = time.monotonic() if noticed_s is None else noticed_s
        if wanted not in self._inner.values() and self._scanned_s <= since_s:
            self._scan()
        found = [pid for pid, inner in self._inner.items() if inner == wanted and _may_be(pid, name)]
        return found[0] if len(found) == 1 else None

    def _scan(self) -> None:
        self._scanned_s = time.monotonic()
        inodes = {}
        with os.scandir("/proc") as entries:
            for entry in entries:
                if entry.name.isdigit():
                    inodes[int(entry.name)] = entry.inode()
        for pid in [pid for pid in self._inner if inodes.get(pid) != self._inodes[pid]]:
            del self._inner[pid]
        for pid, inode in inodes.items():
            if self._inodes.get(pid) != inode and (inner := _inner(pid)) is not None:
                self._inner[pid] = inner
        self._inodes = inodes


def uids(pid: int) -> frozenset[int]:
    """Real, effective, saved and file system user of a process; empty when it is gone."""
    return frozenset(map(int, _status(pid).get(b"Uid", b"").split()))


def pid_within(pid: int, namespace: int) -> int:
    """What a process of ours calls itself in its own namespace, when that isn't the machine's first."""
    pids = _status(pid).get(b"NSpid", b"").split() if _first(namespace) else []
    return int(pids[-1]) if pids else pid


def _first(namespace: int) -> int:
    return 0 if namespace == rundir.INITIAL_NAMESPACE else namespace


def _inner(pid: int) -> tuple[int, int] | None:
    """None: it has no other pid than this one."""
    pids = _status(pid).get(b"NSpid", b"").split()
    if len(pids) < 2:
        return None
    stat = read_stat(pid)
    return (int(pids[-1]), stat.start_ticks) if stat is not None else None


def _may_be(pid: int, name: Name) -> bool:
    """Whether nothing that can be read says that it is somebody else."""
    stat = read_stat(pid)
    if stat is None or stat.start_ticks != name.start_ticks:
        return False
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino == name.namespace
    except OSError:  # another user's
        pass
    if name.uid and name.uid not in uids(pid):
        return False
    container = container_of(pid)
    return not (name.container and container) or name.container == container


def _status(pid: int) -> dict[bytes, bytes]:
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            lines = file.read(_STATUS_BYTES).splitlines()
    except OSError:
        return {}
    return {key: value for key, _, value in (line.partition(b":") for line in lines)}
