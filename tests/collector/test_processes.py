# SPDX-License-Identifier: Apache-2.0
"""The process reader with real processes: found, measured under the conventions' names, and their ends noticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from pillion import rundir
from pillion_collector.neighbours import Troubles
from pillion_collector.pids import Name
from pillion_collector.processes import Processes
from pillion_collector.processes_find import find_files, forget_file
from pillion_collector.processes_known import Process
from pillion_collector.processes_points import points_of
from pillion_collector.processes_read import GAUGE, METRICS, SUM, cores, look, read_stat, started_ns
from pillion_collector.store import Mark, Outcome, PointRow, ResourceRow

from tests.collector.conftest import eventually

# Names, units and attributes as the registry of OpenTelemetry's semantic conventions 1.44.0 has them.
REGISTRY = {
    "process.cpu.time": ("counter", "s", {"cpu.mode": {"user", "system"}}),
    "process.cpu.utilization": ("gauge", "1", {"cpu.mode": {"user", "system"}}),
    "process.memory.usage": ("updowncounter", "By", {}),
    "process.memory.virtual": ("updowncounter", "By", {}),
    "process.thread.count": ("updowncounter", "{thread}", {}),
    "process.unix.file_descriptor.count": ("updowncounter", "{file_descriptor}", {}),
    "process.context_switches": (
        "counter",
        "{context_switch}",
        {"process.context_switch.type": {"voluntary", "involuntary"}},
    ),
    "process.disk.io": ("counter", "By", {"disk.io.direction": {"read", "write"}}),
    "process.disk.operations": ("counter", "{operation}", {"disk.io.direction": {"read", "write"}}),
    "process.paging.faults": ("counter", "{fault}", {"system.paging.fault.type": {"major", "minor"}}),
    "process.uptime": ("gauge", "s", {}),
}
SLEEPER = "import sys; print('ready', flush=True); sys.stdin.read(); sys.exit(int(sys.argv[1]))"
Begin = Callable[..., subprocess.Popen[bytes]]


class Kept:
    """A store that keeps points in a list; `received` are the resources that senders told."""

    def __init__(self) -> None:
        self.points: list[PointRow] = []
        self.resources: dict[int, ResourceRow] = {}
        self.received: list[tuple[Any, ...]] = []

    def append_points(self, points: Any, resources: Any = ()) -> Future[Outcome]:
        self.points += points
        self.resources.update({row.resource_id: row for row in resources})
        done: Future[Outcome] = Future()
        done.set_result(Outcome(len(points), 0, ""))
        return done

    def query(self, sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
        return self.received

    def mark(self, ring: bytes) -> Mark | None:
        return None


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts processes that live until their stdin is closed."""
    running: list[subprocess.Popen[bytes]] = []

    def one(code: int = 0) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER, str(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        running.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        return process

    yield one
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[tuple[Processes, Kept, list[int]]]:
    kept, changes = Kept(), [0]

    def changed() -> None:
        changes[0] += 1

    processes = Processes(tmp_path, kept, changed)
    yield processes, kept, changes
    processes.stop()


def ticks(pid: int) -> int:
    stat = read_stat(pid)
    assert stat is not None
    return stat.start_ticks


def record(run_dir: Path, pid: int, start_ticks: int, **more: Any) -> Path:
    folder = run_dir / "processes"
    folder.mkdir(exist_ok=True)
    path = folder / f"{rundir.name(pid, start_ticks, rundir.pid_namespace())}.json"
    known = {"pid": pid, "start_ticks": start_ticks, "exe": "/usr/bin/python3.11", "decision": "injected", "reason": "",
             "service": "shop", "instance": f"i-{pid}", "python": "3.11.7", **more}  # fmt: skip
    path.write_text(json.dumps(known))
    return path


Watch = tuple[Processes, Kept, list[int]]


def test_the_table_of_metrics_is_the_registrys() -> None:
    instruments = {"counter": (SUM, True), "updowncounter": (SUM, False), "gauge": (GAUGE, False)}
    assert METRICS.keys() == REGISTRY.keys()
    for name, (instrument, unit, attributes) in REGISTRY.items():
        metric = METRICS[name]
        assert (metric.kind, metric.monotonic) == instruments[instrument], name
        assert metric.unit == unit, name
        assert metric.attribute == next(iter(attributes), None), name


def test_every_metric_is_read_of_a_real_process_with_the_registrys_values(begin: Begin) -> None:
    pid = begin().pid
    handle, stat = psutil.Process(pid), read_stat(pid)
    assert stat is not None
    now, began = time.time_ns(), started_ns(stat.start_ticks, psutil.boot_time())
    first = look(handle, stat, now, began, None)
    second = look(handle, stat, now + 10**9, began, first)
    assert {name for name, _ in second.values} == REGISTRY.keys()
    for name, which in second.values:
        allowed = next(iter(REGISTRY[name][2].values()), {""})
        assert which in allowed
    assert second.value("process.thread.count") == 1
    assert (second.value("process.memory.usage") or 0) > 1_000_000
    assert 0 <= (cores(second, first) or 0) < 8
    assert abs(began / 1e9 - handle.create_time()) < 1
    assert first.values["process.disk.io", "read"] >= 0


def test_points_are_cumulative_sums_from_the_process_start_and_gauges(begin: Begin) -> None:
    pid = begin().pid
    stat = read_stat(pid)
    assert stat is not None
    sample = look(psutil.Process(pid), stat, 5_000, 1_000, None)
    rows = {(row.name, *(row.attributes or {}).values()): row for row in points_of(sample, 42, 1_000)}
    total = rows["process.cpu.time", '"user"']
    assert (total.kind, total.temporality, total.monotonic, total.start_ns, total.resource_id) == (
        SUM,
        2,
        True,
        1_000,
        42,
    )
    memory = rows["process.memory.usage",]
    assert (memory.kind, memory.temporality, memory.monotonic, memory.attributes) == (SUM, 2, False, None)
    assert (rows["process.uptime",].kind, rows["process.uptime",].temporality) == (GAUGE, 0)


def test_a_recorded_process_is_found_and_stored_under_a_resource_of_its_own(
    watch: Watch, begin: Begin, tmp_path: Path
) -> None:
    processes, kept, changes = watch
    pid = begin().pid
    record(tmp_path, pid, ticks(pid))
    processes.cycle(time.time_ns())
    (process,) = processes.known()
    assert process.alive and process.found.command == "python3.11" and process.parent_pid == os.getpid()
    (resource,) = kept.resources.values()
    assert (resource.service, resource.instance, resource.pid) == ("shop", f"i-{pid}", pid)
    assert resource.attributes["service.name"] == '"shop"' and resource.attributes["process.pid"] == str(pid)
    assert {row.resource_id for row in kept.points} == {resource.resource_id}
    assert changes == [2]  # the process, and its points


def test_the_received_resource_takes_the_place_of_our_own(watch: Watch, begin: Begin, tmp_path: Path) -> None:
    processes, kept, _ = watch
    pid = begin().pid
    record(tmp_path, pid, ticks(pid))
    processes.cycle(time.time_ns())
    created = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC).isoformat()
    kept.received = [(77, "shop", f"i-{pid}", pid, {"process.creation.time": json.dumps(created)})]
    kept.points.clear()
    processes.cycle(time.time_ns())
    assert {row.resource_id for row in kept.points} == {77}
    assert len(processes.known()) == 1


def test_a_received_resource_alone_makes_a_process_known(watch: Watch, begin: Begin) -> None:
    processes, kept, _ = watch
    pid = begin().pid
    created = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC).isoformat()
    kept.received = [(77, "shop", "i-1", pid, {"process.creation.time": json.dumps(created)})]
    processes.cycle(time.time_ns())
    (process,) = processes.known()
    assert process.alive and process.found.decision is None and process.found.id == f"{pid}-{ticks(pid)}"


def test_a_pid_that_another_process_has_now_is_never_taken_for_the_old_one(
    watch: Watch, begin: Begin, tmp_path: Path
) -> None:
    processes, kept, _ = watch
    pid = begin().pid
    record(tmp_path, pid, ticks(pid) - 100)
    kept.received = [
        (77, "shop", "i-2", pid, {"process.creation.time": '"2001-01-01T00:00:00Z"'}),
        (78, "shop", "i-3", pid, {}),
    ]
    processes.cycle(time.time_ns())
    (process,) = processes.known()
    assert not process.alive and process.exit == {"unknown": True} and process.ended_ns is None
    assert kept.points == []


@pytest.mark.parametrize("how", ["code", "signal"])
def test_an_end_is_noticed_at_once_with_its_code_while_the_parent_has_not_asked(
    watch: Watch, begin: Begin, tmp_path: Path, how: str
) -> None:
    processes, _, changes = watch
    child = begin(3)
    record(tmp_path, child.pid, ticks(child.pid))
    processes.start()
    assert eventually(lambda: any(one.alive for one in processes.known()))
    if how == "code":
        assert child.stdin is not None
        child.stdin.close()
    else:
        child.send_signal(signal.SIGKILL)
    assert eventually(lambda: not processes.known()[0].alive)
    (process,) = processes.known()
    assert process.exit == ({"code": 3} if how == "code" else {"signal": 9})
    assert process.ended_ns is not None and process.ended_ns >= (process.started_ns or 0)
    assert changes[0] >= 3  # it came, it was measured, it went


def test_an_end_that_the_parent_has_asked_for_is_told_by_linux_6_15_and_else_unknown(
    watch: Watch, begin: Begin, tmp_path: Path
) -> None:
    processes, _, _ = watch
    child = begin()
    record(tmp_path, child.pid, ticks(child.pid))
    processes.cycle(time.time_ns())
    child.kill()
    child.wait()
    processes.cycle(time.time_ns())
    newer = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 15)
    assert processes.known()[0].exit == ({"signal": 9} if newer else {"unknown": True})


def test_a_process_that_was_left_alone_is_listed_with_its_reason_and_not_measured(
    watch: Watch, begin: Begin, tmp_path: Path
) -> None:
    processes, kept, _ = watch
    pid = begin().pid
    record(tmp_path, pid, ticks(pid), decision="not", reason="PILLION_ENABLED=0", instance=None)
    processes.cycle(time.time_ns())
    (process,) = processes.known()
    assert (process.found.decision, process.found.reason) == ("not", "PILLION_ENABLED=0")
    assert process.sample is not None and kept.points == []


def test_hostile_records_are_counted_and_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "processes"
    folder.mkdir()
    (folder / "1-1.json").write_text("{")
    (folder / "2-2.json").write_text("[]")
    (folder / "3-3.json").write_bytes(b"\xff" * 100)
    (folder / "4-4.json").write_text('{"a":' * 5000)
    (folder / "5-5.json").symlink_to("/etc/hostname")
    os.mkfifo(folder / "6-6.json")
    (folder / "7-7.json").write_text(json.dumps({"service": 5, "instance": ["x"], "reason": "r" * 5000}))
    (folder / "x.json").write_text("{}")
    (folder / f"{'9' * 30}-1.json").write_text("{}")
    troubles = Troubles()
    (found,) = find_files(tmp_path, troubles)
    assert (found.id, found.service, found.instance, len(found.reason or "")) == ("7-7", None, None, 1000)
    assert troubles["bad_record"] == 6


def test_the_record_of_a_dead_process_is_removed_once_it_is_old(watch: Watch, tmp_path: Path) -> None:
    processes, _, _ = watch
    path = record(tmp_path, 2**22 + 5, 1)
    now = time.time_ns()
    processes.cycle(now)
    assert path.exists() and len(processes.known()) == 1
    processes.cycle(now + 3600 * 10**9)
    assert not path.exists() and len(processes.known()) == 1
    forget_file(tmp_path, "1-1", now)


def test_what_proc_refuses_is_counted_and_the_rest_is_kept(
    watch: Watch, begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: psutil.Process) -> Any:
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil.Process, "io_counters", refused)
    processes, kept, _ = watch
    pid = begin().pid
    record(tmp_path, pid, ticks(pid))
    for _ in range(3):
        processes.cycle(time.time_ns())
    names = {row.name for row in kept.points}
    assert "process.disk.io" not in names and "process.memory.usage" in names
    assert processes.troubles == {"denied:disk": 1}
    assert len([one for one in caplog.records if one.name == "pillion.processes"]) == 1


def test_many_ended_processes_do_not_pile_up(watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pillion_collector.processes.KEPT_ENDED", 10)
    processes, _, _ = watch
    for at in range(30):
        record(tmp_path, 2**22 + 5 + at, 1)
    processes.cycle(time.time_ns())
    assert len(processes.known()) == 10
    assert all(isinstance(one, Process) for one in processes.known())


def test_one_of_two_that_began_together_is_found_once_its_ring_tells_its_container(
    watch: Watch, begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two containers' first processes, as a collector sees them that may not read other users' namespaces."""
    processes, _, _ = watch
    pid = begin().pid
    own = record(tmp_path, pid, ticks(pid))
    asked: list[str | None] = []

    def find(who: Name, noticed_s: float | None = None) -> int | None:
        asked.append(who.container)
        return pid if who.container else None

    monkeypatch.setattr(processes._pids, "find", find)
    monkeypatch.setattr(processes._rings, "alive", lambda name: True)
    processes.cycle(time.time_ns())
    (process,) = processes.known()
    assert process.alive and process.here is None and asked == [None]
    found = process.found
    processes._meet(replace(found, who=replace(found.who, container="a" * 64)))
    assert [process.pid, process.container, *asked] == [pid, "a" * 64, None, "a" * 64]
    processes.cycle(time.time_ns())
    assert process.sample is not None and own.exists()
