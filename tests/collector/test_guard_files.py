# SPDX-License-Identifier: Apache-2.0
"""The collector and the guarded start: it knows how a process ended, and takes what was no crash from the files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pillion_collector import guard_files

from tests.collector.conftest import Running, eventually
from tests.support.traced import AGENT, clean_environ

SAY = "import os, signal, sys; print('pillion' in sys.modules, flush=True); "


def dies(collector: Running, code: str) -> tuple[bool, bool]:
    """Whether pillion was in a program that ended without order, and whether that was taken from the files."""
    environ = clean_environ(LD_PRELOAD=str(AGENT / "pillion" / "libpillion.so"), PILLION_RUN_DIR=str(collector.run_dir))
    folder = collector.run_dir / "guard"
    command = [sys.executable, "-c", SAY + code]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        inside = process.stdout.readline() == "True\n"
        eventually(lambda: any(row["pid"] == process.pid and row["alive"] for row in rows(collector)))
        process.stdin.close()  # now it ends; asked for after the collector has seen it
        eventually(lambda: any(row["pid"] == process.pid and not row["alive"] for row in rows(collector)))
        left = any(name.split("-")[2:3] == [str(process.pid)] for name in os.listdir(folder))
    return inside, not left


def rows(collector: Running) -> list[dict[str, object]]:
    return list(collector.get("/api/processes")["processes"])


@pytest.mark.parametrize("end", ["os._exit(0)", "os._exit(7)", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_an_end_that_somebody_wanted_is_no_crash(collector: Running, end: str) -> None:
    assert [dies(collector, f"sys.stdin.read(); {end}") for _ in range(5)] == [(True, True)] * 5


def test_a_crash_stays_one(collector: Running) -> None:
    told = [dies(collector, "sys.stdin.read(); os.abort()") for _ in range(3)]
    assert told == [(True, False)] * 3
    assert len(collector.get("/api/why")["crashed"]) == 0, "the next start would find out"


def test_old_files_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    folder.mkdir()
    stem = "0" * 16 + "-" + "1" * 16
    names = [f"{stem}-5-6", f"{stem}.crashed", ".new", "a pipe", "young"]
    for name in names:
        os.mkfifo(folder / name) if name == "a pipe" else (folder / name).write_text("")
    (folder / "folder").mkdir()
    holder = subprocess.Popen(
        ["flock", folder / f"{stem}-5-6", "sh", "-c", "echo held; read x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    now_ns = os.stat(folder / "young").st_mtime_ns
    for name in (*names[:-1], "folder"):
        os.utime(folder / name, ns=(0, now_ns - (guard_files.KEPT_S + 1) * 10**9))
    guard_files.sweep(tmp_path, now_ns)
    assert sorted(os.listdir(folder)) == [f"{stem}-5-6", "folder", "young"]
    holder.communicate(b"")
    guard_files.sweep(tmp_path, now_ns)
    assert sorted(os.listdir(folder)) == ["folder", "young"]
    assert {signal.SIGTERM} <= guard_files.CALM
