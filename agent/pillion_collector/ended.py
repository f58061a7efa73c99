# SPDX-License-Identifier: Apache-2.0
"""How a process ended: exit code or signal, also when its parent has asked first, and whether for want of memory.

A zombie's status lies in /proc, for those who may read it (else it says 0); once the parent has taken it, Linux >= 6.15
tells it by the pidfd, to anybody. Where neither is to be had it stays unknown.
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


def exit_of(pidfd: int, pid: int, start_ticks: int) -> dict[str, Any] | None:
    """{"code": n}, {"signal": n}, or {"unknown": True}. `pidfd` -1: there is none.

    None: it will be known once the parent has taken it.
    """
    stat = read_stat(pid)
    zombie = stat is not None and stat.start_ticks == start_ticks and stat.state == "Z"
    if stat is not None and zombie and _is_open(pid):
        return _exit(stat.exit_status)
    told, status = _asked(pidfd) if pidfd >= 0 else (False, None)
    return None if zombie and told and status is None else _exit(status)


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


def _is_open(pid: int) -> bool:
    """Whether /proc tells us everything of it: the same right as for this link."""
    try:
        os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return False
    return True


def _asked(pidfd: int) -> tuple[bool, int | None]:
    """Whether this kernel answers, and what."""
    asked = bytearray(_INFO.size)
    struct.pack_into("=Q", asked, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, asked)
    except OSError:
        return False, None  # an older kernel, or the process of another pid namespace
    mask, *_, status = _INFO.unpack(asked)
    return True, status if mask & _INFO_EXIT else None


def _exit(status: int | None) -> dict[str, Any]:
    if status is None:
        return {"unknown": True}
    with contextlib.suppress(ValueError):
        code = os.waitstatus_to_exitcode(status)
        return {"code": code} if code >= 0 else {"signal": -code}
    return {"unknown": True}
