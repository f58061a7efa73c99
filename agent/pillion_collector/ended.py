# SPDX-License-Identifier: Apache-2.0
"""How a process ended: exit code or signal, also when its parent has asked first, and whether for want of memory.

A zombie's status lies in /proc; once the parent has taken it, Linux >= 6.15 still tells it by the pidfd. Where neither
is to be had it stays unknown. A SIGKILL was the OOM killer's when the cgroup has counted one more since we last looked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
from typing import Any, Final

from pillion_collector.processes_read import read_stat

_INFO: Final = struct.Struct("=QQ11Ii")  # struct pidfd_info of <linux/pidfd.h> in its first size
_GET_INFO: Final = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11  # _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)
_INFO_EXIT: Final = 1 << 3
_CGROUPS: Final = "/sys/fs/cgroup"


def exit_of(pidfd: int, pid: int, start_ticks: int) -> dict[str, Any]:
    """{"code": n}, {"signal": n}, or {"unknown": True}. `pidfd` -1: there is none."""
    stat = read_stat(pid)
    if stat is not None and stat.start_ticks == start_ticks and stat.state == "Z":
        return _exit(stat.exit_status)
    return _exit(_asked(pidfd)) if pidfd >= 0 else {"unknown": True}


def text(exit: dict[str, Any] | None) -> str:
    """The same in words: what a process "was" or "did"."""
    if not exit or "unknown" in exit:
        return "ended, nobody knows how"
    if "signal" in exit:
        return f"was killed by {signal_name(exit['signal'])}{', out of memory' if exit.get('oom') else ''}"
    return "became another program" if "exec" in exit else f"exited with code {exit['code']}"


def kind(exit: dict[str, Any] | None) -> str:
    """For error.type: SIGKILL, exit, exec or unknown."""
    if not exit or "unknown" in exit:
        return "unknown"
    return signal_name(exit["signal"]) if "signal" in exit else "exec" if "exec" in exit else "exit"


def signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _asked(pidfd: int) -> int | None:
    asked = bytearray(_INFO.size)
    struct.pack_into("=Q", asked, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, asked)
    except OSError:
        return None  # an older kernel, or the process of another pid namespace
    mask, *_, status = _INFO.unpack(asked)
    return status if mask & _INFO_EXIT else None


def _exit(status: int | None) -> dict[str, Any]:
    if status is None:
        return {"unknown": True}
    with contextlib.suppress(ValueError):
        code = os.waitstatus_to_exitcode(status)
        return {"code": code} if code >= 0 else {"signal": -code}
    return {"unknown": True}


class OomKills:
    """How often the OOM killer came to the cgroups of the processes that live."""

    def __init__(self, root: str = _CGROUPS) -> None:
        self._root = root
        self._seen: dict[str, int] = {}

    def meet(self, pid: int) -> str | None:
        """The file that will tell, None when there is none. To be asked while the process lives."""
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if controllers == "":
                    name = f"{self._root}{path}/memory.events"
                elif "memory" in controllers.split(","):
                    name = f"{self._root}/memory{path}/memory.oom_control"
                else:
                    continue
                if (count := _oom_kills(name)) is not None:
                    self._seen.setdefault(name, count)
                    return name
        return None

    def killed(self, name: str | None) -> bool:
        """Whether there is one more than before. One answer a kill."""
        count = _oom_kills(name) if name else None
        if name is None or count is None or count <= self._seen.get(name, count):
            return False
        self._seen[name] += 1
        return True


def _oom_kills(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError), open(name, encoding="ascii") as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None
