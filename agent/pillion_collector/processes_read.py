# SPDX-License-Identifier: Apache-2.0
"""One look at one process: what psutil and /proc say, as numbers, and the same as points under the conventions' names.

Reads only; called by the process reader's thread, about 0.2 ms a process. A process is its pid and its start in clock
ticks, never the pid alone. What /proc refuses (another user's io, fds) is left out and named in `denied`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import NamedTuple

import psutil

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
GAUGE, SUM = 1, 2
_EXITING = 0x4  # PF_EXITING of <linux/sched.h>


class Metric(NamedTuple):
    """How a metric is stored. `monotonic` only for sums."""

    unit: str
    kind: int
    monotonic: bool
    attribute: str | None  # the one attribute that tells its points apart


METRICS = {
    "process.cpu.time": Metric("s", SUM, True, "cpu.mode"),
    "process.cpu.utilization": Metric("1", GAUGE, False, "cpu.mode"),
    "process.memory.usage": Metric("By", SUM, False, None),
    "process.memory.virtual": Metric("By", SUM, False, None),
    "process.thread.count": Metric("{thread}", SUM, False, None),
    "process.unix.file_descriptor.count": Metric("{file_descriptor}", SUM, False, None),
    "process.context_switches": Metric("{context_switch}", SUM, True, "process.context_switch.type"),
    "process.disk.io": Metric("By", SUM, True, "disk.io.direction"),
    "process.disk.operations": Metric("{operation}", SUM, True, "disk.io.direction"),
    "process.paging.faults": Metric("{fault}", SUM, True, "system.paging.fault.type"),
    "process.uptime": Metric("s", GAUGE, False, None),
}


class Stat(NamedTuple):
    """What /proc/PID/stat tells beyond psutil."""

    name: str
    state: str
    parent_pid: int
    minor_faults: int
    major_faults: int
    start_ticks: int
    exit_status: int  # as wait() gives it; meaningful for a zombie that we may look at
    exiting: bool  # the kernel is taking it down


@dataclass(frozen=True)
class Sample:
    """One look. Keys of `values`: (metric name, value of its attribute or "")."""

    time_ns: int
    stat: Stat
    cpu_s: dict[str, float]
    values: dict[tuple[str, str], int | float]
    denied: frozenset[str] = field(default=frozenset())

    def value(self, name: str) -> int | float | None:
        return self.values.get((name, ""))


def read_stat(pid: int) -> Stat | None:
    """None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    try:
        name = text[text.index(b"(") + 1 : text.rindex(b")")].decode("utf-8", "replace")
        rest = text[text.rindex(b")") + 2 :].split()
        return Stat(
            name,
            rest[0].decode(),
            int(rest[1]),
            int(rest[7]),
            int(rest[9]),
            int(rest[19]),
            int(rest[49]) if len(rest) > 49 else 0,
            bool(int(rest[6]) & _EXITING),
        )
    except (ValueError, IndexError):
        return None


def started_ns(start_ticks: int, boot_s: float) -> int:
    """Start of a process since the epoch, as exact as the kernel's ticks are."""
    return int((boot_s + start_ticks / TICKS_A_SECOND) * 1e9)


def look(handle: psutil.Process, stat: Stat, time_ns: int, began_ns: int, before: Sample | None) -> Sample:
    """Everything at once. Raises psutil.NoSuchProcess when it is gone meanwhile."""
    values: dict[tuple[str, str], int | float] = {}
    denied = set()
    with handle.oneshot():
        for part in (_memory, _threads, _descriptors, _switches, _disk):
            try:
                part(handle, values)
            except (psutil.AccessDenied, NotImplementedError):
                denied.add(part.__name__.strip("_"))
        times = handle.cpu_times()
    cpu_s = {"user": times.user, "system": times.system}
    for mode, spent in cpu_s.items():
        values["process.cpu.time", mode] = spent
    if before is not None and time_ns > before.time_ns:
        elapsed_s = (time_ns - before.time_ns) / 1e9
        for mode, spent in cpu_s.items():
            share = max(0.0, spent - before.cpu_s[mode]) / elapsed_s / _cpus(handle.pid)
            values["process.cpu.utilization", mode] = round(share, 6)
    values["process.paging.faults", "minor"] = stat.minor_faults
    values["process.paging.faults", "major"] = stat.major_faults
    values["process.uptime", ""] = round(max(0.0, (time_ns - began_ns) / 1e9), 3)
    return Sample(time_ns, stat, cpu_s, values, frozenset(denied))


def cores(sample: Sample, before: Sample | None) -> float | None:
    """CPU since the sample before, as a fraction of one core."""
    if before is None or sample.time_ns <= before.time_ns:
        return None
    spent = sum(sample.cpu_s.values()) - sum(before.cpu_s.values())
    return round(max(0.0, spent) / ((sample.time_ns - before.time_ns) / 1e9), 4)


def _cpus(pid: int) -> int:
    try:
        return max(1, len(os.sched_getaffinity(pid)))
    except OSError:
        return os.cpu_count() or 1


def _memory(handle: psutil.Process, values: dict[tuple[str, str], int | float]) -> None:
    memory = handle.memory_info()
    values["process.memory.usage", ""] = memory.rss
    values["process.memory.virtual", ""] = memory.vms


def _threads(handle: psutil.Process, values: dict[tuple[str, str], int | float]) -> None:
    values["process.thread.count", ""] = handle.num_threads()


def _descriptors(handle: psutil.Process, values: dict[tuple[str, str], int | float]) -> None:
    values["process.unix.file_descriptor.count", ""] = handle.num_fds()


def _switches(handle: psutil.Process, values: dict[tuple[str, str], int | float]) -> None:
    switches = handle.num_ctx_switches()
    values["process.context_switches", "voluntary"] = switches.voluntary
    values["process.context_switches", "involuntary"] = switches.involuntary


def _disk(handle: psutil.Process, values: dict[tuple[str, str], int | float]) -> None:
    disk = handle.io_counters()
    values["process.disk.io", "read"] = disk.read_bytes
    values["process.disk.io", "write"] = disk.write_bytes
    values["process.disk.operations", "read"] = disk.read_count
    values["process.disk.operations", "write"] = disk.write_count
