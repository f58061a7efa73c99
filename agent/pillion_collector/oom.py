# SPDX-License-Identifier: Apache-2.0
"""Whether the OOM killer came to a process's control group: the kernel's count, one more than when we last looked.

Version 1 (memory.oom_control) and 2 (memory.events), by the path of the process's group as we see it. Within a
container that path may lead out of our own cgroup namespace, or the mount may show only a part of the tree: then the
container's folder is looked for by its name. Reads only; a mount of /sys/fs/cgroup that is read-only will do. A
container's group goes with its first process, sometimes before we have looked: then the whole machine's count tells.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from pillion_collector.containers import container_in

_FOLDERS: Final = 4096  # looked through for a container's
_DEPTH: Final = 8
_FILES: Final = ("memory.events", "memory.oom_control")  # of version 2, and of version 1


@dataclass(frozen=True)
class Mount:
    """Where a tree of control groups is to be seen. `root`: which part of it, as our cgroup namespace names it."""

    root: str
    path: str
    file: str


class Count(NamedTuple):
    """Kills so far: in a process's group, None when it can't be seen (any more), and on the whole machine."""

    group: int | None
    all: int


class OomKills:
    """How often the OOM killer came to the groups of the processes that live."""

    def __init__(self, mountinfo: str = "/proc/self/mountinfo", machine: str = "/proc/vmstat") -> None:
        self._mounts = list(_mounts(mountinfo))
        self._machine = machine
        self._seen_all = self._before_all = _oom_kills(machine) or 0
        self._seen: dict[str, int] = {}  # kills that were laid to somebody, or had been there before
        self._before: dict[str, int] = {}  # what there was when `settle` was called last
        self._by_container: dict[str, str | None] = {}

    def file_of(self, cgroup: str) -> str | None:
        """The file that will tell, by the text of /proc/PID/cgroup, if there is one. Asked while the process lives."""
        container = container_in(cgroup)
        for name in self._names(cgroup, container):
            if (count := _oom_kills(name)) is not None:
                if len(self._seen) > _FOLDERS:
                    self._seen = {one: seen for one, seen in self._seen.items() if os.path.exists(one)}
                self._seen.setdefault(name, count)
                return name
        return None

    def count(self, name: str | None) -> Count:
        """The kernel's counts now. To be asked at once when a process ends: with its last process the group may go."""
        return Count(_oom_kills(name) if name else None, _oom_kills(self._machine) or 0)

    def killed(self, name: str | None, count: Count) -> bool:
        """Whether that is one more than before. One answer a kill."""
        seen = self._seen.get(name or "", count.group or 0)
        if (count.group is not None and count.group <= seen) or (count.group is None and count.all <= self._seen_all):
            return False
        if name is not None:
            self._seen[name] = seen + 1
        self._seen_all += 1
        return True

    def settle(self) -> None:
        """Every few seconds: kills that were nobody's whom we watch are not laid to who is killed much later."""
        self._seen_all = max(self._seen_all, self._before_all)
        self._before_all = _oom_kills(self._machine) or 0
        for name in self._seen:
            self._seen[name] = max(self._seen[name], self._before.get(name, 0))
        self._before = {name: count for name in self._seen if (count := _oom_kills(name)) is not None}

    def _names(self, cgroup: str, container: str | None) -> Iterator[str]:
        for line in cgroup.splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            wanted = _FILES[0] if controllers == "" else _FILES[1] if "memory" in controllers.split(",") else None
            for mount in self._mounts:
                if mount.file != wanted:
                    continue
                if (inner := _below(path, mount.root)) is not None:
                    yield f"{mount.path}{inner}/{mount.file}"
                if container is not None and (found := self._search(mount, container)) is not None:
                    yield f"{found}/{mount.file}"

    def _search(self, mount: Mount, container: str) -> str | None:
        key = f"{mount.path}\0{container}"
        if key not in self._by_container:
            if len(self._by_container) > _FOLDERS:
                self._by_container.clear()
            self._by_container[key] = _folder_of(mount.path, container)
        return self._by_container[key]


def _below(path: str, root: str) -> str | None:
    """The rest of `path` behind `root`; None when it is not in there, as far as the names tell."""
    path, root = posixpath.normpath(path), posixpath.normpath(root).rstrip("/")
    if ".." in path.split("/") or ".." in root.split("/"):
        return None  # from outside of our namespace: the names above are not known
    if path == root or path.startswith(root + "/"):
        return path[len(root) :].rstrip("/")
    return None


def _folder_of(top: str, container: str) -> str | None:
    """The folder of that name in a tree of control groups, bounded."""
    left, level = _FOLDERS, [top]
    for _ in range(_DEPTH):
        below: list[str] = []
        for folder in level:
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        continue
                    if container_in(entry.name) == container:
                        return entry.path
                    below.append(entry.path)
                    left -= 1
            if left <= 0:
                return None
        level = below
    return None


def _mounts(mountinfo: str) -> Iterator[Mount]:
    with contextlib.suppress(OSError), open(mountinfo, encoding="utf-8", errors="replace") as file:
        for line in file:
            before, _, after = line.rstrip("\n").partition(" - ")
            fields, kind = before.split(" "), after.split(" ")
            if len(fields) < 5 or len(kind) < 3:
                continue
            if kind[0] == "cgroup2":
                yield Mount(fields[3], fields[4], _FILES[0])
            elif kind[0] == "cgroup" and "memory" in kind[2].split(","):
                yield Mount(fields[3], fields[4], _FILES[1])


def _oom_kills(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError), open(name, encoding="ascii") as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None
