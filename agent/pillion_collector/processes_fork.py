# SPDX-License-Identifier: Apache-2.0
"""Children that an injected process forked and that have no record and no ring yet: an idle pool of workers, say.

Whoever starts a Python anew is told by a record of its own; a fork's child is its parent's copy, with its command line,
and makes a ring with its first span. Called by the process reader's thread; a small file for each thread of a process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from pillion_collector.pids import Name, pid_within
from pillion_collector.processes_find import Found
from pillion_collector.processes_read import read_stat

_BYTES = 64 << 10
_TASKS = 64  # threads whose children are asked for; nearly always the first one forks


def find_forks(parents: Iterable[tuple[int, Found]], known: frozenset[int]) -> list[Found]:
    """What is new among the children of these processes (pid here, what is known of it)."""
    found = []
    for parent, of in parents:
        new = _children(parent) - known
        command_line = _read(f"/proc/{parent}/cmdline") if new else b""
        for pid in new:
            stat = read_stat(pid)
            if stat is None or not command_line or _read(f"/proc/{pid}/cmdline") != command_line:
                continue  # gone, or another program, which a record of its own tells about
            who = Name(
                pid_within(pid, of.who.namespace), stat.start_ticks, of.who.namespace, container=of.who.container
            )
            reason = f"forked from {of.who.pid}"
            found.append(replace(of, who=who, instance=None, reason=reason, resource_row=None))
    return found


def _children(pid: int) -> set[int]:
    """Empty where the kernel doesn't tell."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")[:_TASKS]
    except OSError:
        return set()
    return {int(child) for task in tasks for child in _read(f"/proc/{pid}/task/{task}/children").split()}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_BYTES)
    except OSError:
        return b""
