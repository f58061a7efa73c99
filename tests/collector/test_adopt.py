# SPDX-License-Identifier: Apache-2.0
"""Processes that end, however they end: every span is stored once, and what was under way is told with its trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.collector.conftest import Running, Start, eventually
from tests.collector.doomed import FINISHED, STEPS, THREADS, Doom, adopted, counted, crashes, doom, end, rings

__all__ = ["doom"]
ENDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "SIGKILL": ("SIGKILL", {"signal": 9}, "SIGKILL"),
    "SIGTERM": ("SIGTERM", {"signal": 15}, "SIGTERM"),
    "segmentation fault": ("ctypes.string_at(0)", {"signal": 11}, "SIGSEGV"),
    "abort": ("os.abort()", {"signal": 6}, "SIGABRT"),
    "os._exit": ("os._exit(7)", {"code": 7}, "exit"),
    "os._exit as if all were well": ("os._exit(0)", {"code": 0}, "exit"),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_process_that_dies_at_work_loses_nothing_and_tells_its_requests(
    collector: Running, doom: Doom, how: str
) -> None:
    what, exit, kind = ENDS[how]
    process = doom(collector)
    begun = time.monotonic()
    end(process, what)
    told = adopted(collector)
    print(f"adopted {time.monotonic() - begun:.2f} s after the end")
    assert (told["recorded"], told["stored"], told["dropped"], told["balanced"]) == (FINISHED, FINISHED, {}, True)
    (crash,) = crashes(collector)
    assert (crash["pid"], crash["service"], crash["exit"], crash["stored"]) == (process.pid, "doomed", exit, FINISHED)
    assert [one["name"] for one in crash["requests"]] == ["GET /last"] * THREADS
    assert {one["name"] for one in crash["last_spans"]} <= {"step", "GET /work"} and len(crash["last_spans"]) == 10
    for request in crash["requests"]:
        spans = collector.get(f"/api/traces/{request['trace_id']}")["spans"]
        (unfinished,) = [one for one in spans if one["name"] == "GET /last"]
        steps = [one for one in spans if one["name"] == "step"]
        assert unfinished["span_id"] == request["span_id"] and unfinished["kind"] == "SERVER"
        assert (unfinished["status"], unfinished["attributes"]["error.type"]) == ("error", kind)
        assert unfinished["attributes"]["pillion.unfinished"] is True
        assert unfinished["start_ns"] == request["start_ns"] and unfinished["instance"] == crash["instance"]
        assert [one["parent_id"] for one in steps] == [request["span_id"]] * STEPS
        assert int(unfinished["start_ns"]) + unfinished["duration_ns"] >= max(int(one["start_ns"]) for one in steps)
    (listed,) = [one for one in collector.get("/api/processes")["processes"] if one["service"] == "doomed"]
    assert listed["exit"] == exit and not listed["alive"]
    collector.stop()
    assert counted(collector) == (FINISHED, FINISHED)


def test_threads_that_record_while_the_process_is_killed_lose_at_most_what_they_were_writing(
    collector: Running, doom: Doom
) -> None:
    process = doom(collector, "busy")
    eventually(lambda: collector.get("/api/stats")["total"]["stored"] > 2 * FINISHED)
    end(process, "SIGKILL")
    told = adopted(collector)
    assert told["balanced"] and told["dropped"].keys() <= {"torn", "full"} and told["dropped"].get("torn", 0) <= THREADS
    (crash,) = crashes(collector)
    assert len(crash["requests"]) <= THREADS
    collector.stop()
    assert counted(collector) == (told["stored"],) * 2


@pytest.mark.parametrize("how", ["sys.exit(0)", "raise LookupError", "SIGTERM", "os._exit(0)"])
def test_an_end_in_order_or_without_anything_to_tell_is_no_crash(collector: Running, doom: Doom, how: str) -> None:
    code = "import os, sys, pillion\nwith pillion.span('x'):\n    pass\nprint('worked', flush=True)\nexec(input())"
    process = doom(collector, code=code)
    end(process, how)
    told = adopted(collector)
    assert (told["recorded"], told["stored"], told["balanced"]) == (1, 1, True)
    assert crashes(collector) == []


def test_a_process_that_becomes_another_program_is_adopted_and_no_crash(collector: Running, doom: Doom) -> None:
    process = doom(collector)
    assert process.stdin is not None
    process.stdin.write(b"os.execv('/bin/sleep', ['sleep', '1000'])\n")
    process.stdin.flush()
    told = adopted(collector)
    assert process.poll() is None and (told["stored"], told["balanced"]) == (FINISHED, True)
    assert crashes(collector) == []
    found = collector.get("/api/traces?attribute=error.type%3Dexec")["traces"]
    assert len(found) == THREADS


def test_what_died_while_no_collector_was_there_is_adopted_by_the_next(start: Start, doom: Doom) -> None:
    first = start()
    process = doom(first)
    first.stop(signal.SIGKILL)
    end(process, "SIGKILL")
    second = start()
    told = adopted(second)
    assert (told["recorded"], told["stored"], told["balanced"]) == (FINISHED, FINISHED, True)
    (crash,) = crashes(second)  # nobody saw how it ended; the requests tell
    assert crash["exit"] == {"unknown": True} and len(crash["requests"]) == THREADS
    second.stop()
    assert counted(second) == (FINISHED, FINISHED)


def test_many_short_lives_are_all_told(collector: Running) -> None:
    program = (
        "import os, pillion\n"
        "for number in range(100):\n"
        "    if (pid := os.fork()) == 0:\n"
        "        for at in range(number % 5 + 1):\n"
        "            with pillion.span('work'): pass\n"
        "        os._exit(number % 3)\n"
        "    os.waitpid(pid, 0)\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PILLION_", "OTEL_"))}
    command = [sys.executable, "-m", "pillion", "run", "--service", "kids", "--", sys.executable, "-c", program]
    subprocess.run(command, env={**clean, "PILLION_RUN_DIR": str(collector.run_dir)}, check=True, timeout=60)
    assert eventually(lambda: not rings(collector))
    answer = collector.get("/api/stats")
    assert answer["total"]["stored"] == answer["total"]["recorded"] == 300 and answer["total"]["balanced"]
    assert sum(one["stored"] for one in answer["processes"]) == 300
    collector.stop()
    assert counted(collector) == (300, 300)
