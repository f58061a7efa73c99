# SPDX-License-Identifier: Apache-2.0
"""Forked children of an injected process: found before they have a ring; other children are not taken for such."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pillion_collector.pids import Name
from pillion_collector.processes_find import Found
from pillion_collector.processes_fork import find_forks
from pillion_collector.processes_read import read_stat

FORKS = """
import os, subprocess, sys, threading
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
late = []
forked = threading.Event()
def fork():
    late.append(os.fork())
    if late[0] == 0:
        sys.stdin.read()
        os._exit(0)
    forked.set()
    threading.Event().wait()  # a child is its thread's as long as that lives
threading.Thread(target=fork, daemon=True).start()
forked.wait()
other = subprocess.Popen(["sleep", "60"])
print(child, late[0], flush=True)
sys.stdin.read()
other.kill()
"""


def test_children_by_fork_are_found_once_and_children_by_exec_are_not() -> None:
    with subprocess.Popen([sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        children = {int(word) for word in process.stdout.readline().split()}
        children = {pid for pid in children if f"PPid:\t{process.pid}" in Path(f"/proc/{pid}/status").read_text()}
        parent = Found(Name(process.pid, 1), "shop", "i-1", "python3", "3.11.7", "injected")
        found = find_forks([(process.pid, parent)], frozenset())
        again = find_forks([(process.pid, parent)], frozenset(one.who.pid for one in found))
        stats = {one.who.pid: read_stat(one.who.pid) for one in found}
        process.stdin.close()
    assert {one.who.pid for one in found} == children and len(children) == 2 and again == []
    for one in found:
        stat = stats[one.who.pid]
        assert stat is not None and one.who.start_ticks == stat.start_ticks
        assert (one.service, one.instance, one.decision) == ("shop", None, "injected")
        assert one.reason == f"forked from {process.pid}"


def test_a_parent_that_is_gone_has_none() -> None:
    assert find_forks([((1 << 22) + 1, Found(Name(1, 1)))], frozenset()) == []
