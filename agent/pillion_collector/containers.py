# SPDX-License-Identifier: Apache-2.0
"""Which container a process is in: the id in the path of its control group, as every engine writes it there.

docker, containerd, podman and CRI-O, with cgroupfs or systemd, version 1 and 2, alone or in a Kubernetes slice.
"""

from __future__ import annotations

import re
from typing import Final

SHORT: Final = 12  # hex digits, as engines show it
_FILE_BYTES: Final = 64 << 10
# An id stands at the end of a part: <id>, docker-<id>.scope, cri-containerd-<id>.scope, libpod-<id>.scope,
# crio-<id>.scope, kubepods-…slice:cri-containerd:<id>. The monitor that podman and CRI-O put beside it is not in it.
_PART: Final = re.compile(r"(?:^|[/:]|(?<!-conmon)-)([0-9a-f]{64})(?:\.scope)?(?=/|$)")


def container_of(pid: int) -> str | None:
    """The id of the innermost container; None for a process of the node itself, or one that is gone."""
    return container_in(cgroup_of(pid))


def cgroup_of(pid: int) -> str:
    """/proc/PID/cgroup; empty when it can't be read. Anybody may read anybody's."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return file.read(_FILE_BYTES)
    except OSError:
        return ""


def container_in(cgroup: str) -> str | None:
    """The same, of the text of such a file."""
    for line in cgroup.splitlines():
        path = line.split(":", 2)[-1]
        if found := _PART.findall(path):
            return str(found[-1])
    return None
