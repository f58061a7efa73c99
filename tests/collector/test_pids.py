# SPDX-License-Identifier: Apache-2.0
"""Processes of other pid namespaces: found under their pid here, never taken for another, and judged by their lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pillion import rundir
from pillion_collector import pids
from pillion_collector.pids import Name, Pids
from pillion_collector.processes_read import read_stat

from tests.collector.conftest import DEADLINE_S, Running, Start, eventually
from tests.collector.doomed import Doom, adopted, crashes, doom

__all__ = ["doom"]
NEW = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
WHO = """
import os, sys
from pillion import rundir
print(os.getpid(), rundir.start_ticks(), rundir.pid_namespace(), flush=True)
sys.stdin.read()
"""
WORKER = "import pillion\nwith pillion.span('GET /', _kind='server'):\n    print('worked', flush=True); exec(input())"
Inner = Callable[[], tuple[Name, int]]


def _may_unshare() -> bool:
    return subprocess.run([*NEW, "true"], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not _may_unshare(), reason="needs the right to make a pid namespace")


@pytest.fixture
def inner() -> Iterator[Inner]:
    """Starts processes that are number 1 of a namespace of their own; gives what they call themselves."""
    running: list[subprocess.Popen[str]] = []

    def begin() -> tuple[Name, int]:
        process = subprocess.Popen(
            [*NEW, sys.executable, "-c", WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None
        pid, ticks, namespace = map(int, process.stdout.readline().split())
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return Name(pid, ticks, namespace), int(child)

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@needs_namespaces
def test_each_first_process_of_many_namespaces_is_found_under_its_pid_here(inner: Inner) -> None:
    known = Pids()
    began = [inner() for _ in range(4)]
    assert {name.pid for name, _ in began} == {1}
    assert [known.find(name) for name, _ in began] == [here for _, here in began]
    name, here = inner()
    assert known.find(name) == here
    assert str(name) == f"1-{name.start_ticks}-{name.namespace}"


@needs_namespaces
def test_who_has_gone_or_was_never_there_is_not_found(inner: Inner) -> None:
    known = Pids()
    name, here = inner()
    assert known.find(name) == here
    for wrong in (
        name.__class__(2, name.start_ticks, name.namespace),
        name.__class__(1, name.start_ticks + 1, name.namespace),
        name.__class__(1, name.start_ticks, name.namespace + 1),
        name.__class__(1, name.start_ticks, 0),
    ):
        assert known.find(wrong) is None
    os.kill(here, signal.SIGKILL)
    assert eventually(lambda: read_stat(here) is None)
    assert known.find(name) is None


@needs_namespaces
def test_two_that_cannot_be_told_apart_are_not_guessed(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a collector that may not read other users' links: two that started in one tick."""
    real = os.stat

    def stat(path: Any, **how: Any) -> os.stat_result:
        if str(path).endswith("/ns/pid"):
            raise PermissionError(13, "not yours")
        return real(path, **how)

    monkeypatch.setattr(os, "stat", stat)
    name, here = inner()
    known = Pids()
    assert known.find(name) == here
    assert known.find(Name(1, name.start_ticks, name.namespace, uid=4711)) is None  # a file of another user
    known._inner[os.getppid()] = known._inner[here]
    monkeypatch.setattr(pids, "read_stat", lambda pid: read_stat(here))
    assert known.find(name) is None
    assert known.find(Name(1, name.start_ticks, name.namespace, container="a" * 64)) is None


@needs_namespaces
def test_what_is_known_already_is_not_looked_for_again(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Pids()
    name, here = inner()
    assert known.find(name) == here
    monkeypatch.setattr(known, "_scan", lambda: pytest.fail("looked through /proc again"))
    assert known.find(name) == here
    assert known.find(Name(1, name.start_ticks + 1, name.namespace), noticed_s=time.monotonic() - 10) is None
    assert known.find(Name(os.getpid(), rundir.start_ticks(), rundir.pid_namespace())) == os.getpid()


def test_names_of_the_first_namespace_have_no_suffix() -> None:
    assert rundir.name(5, 6, 0) == rundir.name(5, 6, rundir.INITIAL_NAMESPACE) == "5-6"
    assert rundir.name(5, 6, 4026532000) == "5-6-4026532000"
    assert Pids(own=4026532000).hidden(0) and not Pids(own=4026532000).hidden(4026532000)
    assert not Pids(own=rundir.INITIAL_NAMESPACE).hidden(4026532000)
    assert Pids(own=4026532000).find(Name(os.getpid(), rundir.start_ticks(), 0)) is None


@needs_namespaces
def test_a_process_of_another_namespace_is_measured_and_its_death_told_with_its_request(
    collector: Running, doom: Doom
) -> None:
    process = doom(collector, code=WORKER, within=NEW)
    (one,) = eventually(lambda: [each for each in collector.get("/api/processes")["processes"] if each["fds"]])
    assert one["own_pid"] != one["pid"] and one["alive"] and not one["hidden"]
    assert one["id"] == rundir.name(one["own_pid"], int(one["id"].split("-")[1]), one["pid_namespace"])
    stat = read_stat(one["pid"])
    assert stat is not None and stat.name.startswith("python")
    os.kill(one["pid"], signal.SIGKILL)
    process.wait(DEADLINE_S)
    assert adopted(collector)["balanced"]
    (crash,) = crashes(collector)
    assert crash["exit"] == {"signal": 9} and [each["name"] for each in crash["requests"]] == ["GET /"]
    assert crash["id"] == one["id"]


@needs_namespaces
def test_a_collector_in_a_namespace_of_its_own_goes_by_the_locks_and_says_so(start: Start, doom: Doom) -> None:
    collector = start(within=NEW)
    process = doom(collector, code=WORKER)
    (one,) = eventually(lambda: collector.get("/api/processes")["processes"])
    assert one["alive"] and one["hidden"] and one["memory_bytes"] is None and one["service"] == "doomed"
    process.kill()
    process.wait()
    assert adopted(collector)["balanced"]
    (crash,) = crashes(collector)
    assert crash["exit"] == {"unknown": True} and [each["name"] for each in crash["requests"]] == ["GET /"]
    assert eventually(lambda: not collector.get("/api/processes")["processes"][0]["alive"])
