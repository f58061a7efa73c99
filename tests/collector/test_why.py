# SPDX-License-Identifier: Apache-2.0
"""/api/why of a real collector: processes with a record, those without one, those that ended, and crashed programs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.collector.conftest import Running
from tests.support.traced import AGENT, BOOT, clean_environ

WAIT = "import sys; print('up', flush=True); sys.stdin.read()"


def started(**variables: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT],
        env=clean_environ(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    return process


def test_every_python_of_the_machine_is_answered_for(collector: Running) -> None:
    run_dir = str(collector.run_dir)
    traced = started(PYTHONPATH=str(BOOT), PILLION_RUN_DIR=run_dir, OTEL_SERVICE_NAME="shop")
    off = started(PYTHONPATH=str(BOOT), PILLION_RUN_DIR=run_dir, PILLION_ENABLED="0")
    bare = started()
    done = subprocess.run(
        [sys.executable, "-c", "pass"],
        env=clean_environ(PYTHONPATH=str(BOOT), PILLION_RUN_DIR=run_dir, OTEL_SDK_DISABLED="true"),
    )
    assert done.returncode == 0
    try:
        rows: dict[int, Any] = {row["pid"]: row for row in collector.get("/api/why")["processes"]}
        (alone,) = collector.get(f"/api/why?pid={bare.pid}")["processes"]
    finally:
        for process in (traced, off, bare):
            process.communicate()
    told = {
        pid: (rows[pid]["decision"], rows[pid]["code"], rows[pid]["alive"]) for pid in (traced.pid, off.pid, bare.pid)
    }
    assert told == {
        traced.pid: ("injected", "INJECTED", True),
        off.pid: ("not", "DISABLED", True),
        bare.pid: ("not", "NOT_REACHED", True),
    }
    assert rows[traced.pid]["service"] == "shop" and rows[traced.pid]["id"].startswith(f"{traced.pid}-")
    assert alone["do"] and "LD_PRELOAD is not set" in alone["evidence"][0]
    assert [row["code"] for row in rows.values() if not row["alive"]] == ["SDK_DISABLED"]
    assert rows[collector.process.pid]["code"] == "NOT_REACHED", "the collector is a Python too"


def test_programs_that_are_left_alone_because_they_crashed_are_in_the_answer(collector: Running) -> None:
    environ = clean_environ(LD_PRELOAD=str(AGENT / "pillion" / "libpillion.so"), PILLION_RUN_DIR=str(collector.run_dir))
    for _ in range(4):
        subprocess.run([sys.executable, "-c", "import os; os.abort()"], env=environ, capture_output=True)
    (one,) = collector.get("/api/why")["crashed"]
    assert one["program"] == "-c" and len(one["deaths"]) == 3 and one["until_ns"].isdigit()


def test_wrong_questions_are_told(collector: Running) -> None:
    assert collector.get("/api/why?pid=x")["parameter"] == "pid"
    assert collector.get("/api/why?name=x")["parameter"] == "name"
    assert collector.get("/api/why?pid=4194303")["processes"] == []
