# SPDX-License-Identifier: Apache-2.0
"""`make chaos`, `make soak` and the flood in short form; in CI only, since they take their minutes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
in_ci = pytest.mark.skipif(
    os.environ.get("CI") != "true", reason="runs in CI (CI=true), and longer by make chaos, soak"
)


def run(module: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """The program as its user runs it: exit code, its report, and what it said meanwhile."""
    command = [sys.executable, "-m", module, "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@in_ci
@pytest.mark.timeout(600)
def test_a_minute_of_chaos_ends_with_every_span_accounted_for() -> None:
    code, report, said = run("tests.chaos", "--seconds", "60", "--rate", "3000")
    assert (code, report["faults"]) == (0, []), said
    assert report["truth"]["ended"] > 10_000
    assert len(report["monkey"]) > 5


@in_ci
@pytest.mark.timeout(600)
def test_a_million_spans_of_processes_killed_at_random_are_accounted_for() -> None:
    code, report, said = run("tests.chaos", "--spans", "1000000")
    assert (code, report["faults"]) == (0, []), said
    assert report["truth"]["ended"] >= 1_000_000
    assert report["ledger"]["recorded"] == report["ledger"]["stored"] + sum(report["ledger"]["dropped"].values())


@in_ci
@pytest.mark.timeout(600)
def test_two_minutes_at_5000_spans_a_second_leave_nothing_behind() -> None:
    code, report, said = run("tests.chaos.soak", "--seconds", "120")
    assert (code, report["faults"]) == (0, []), (report, said)


@pytest.mark.timeout(300)
def test_ctrl_c_ends_a_run_early_and_its_account_is_still_given() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--seconds", "3600", "--json", "--verbose", "--rate", "500"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stderr and process.stdout
        for line in process.stderr:
            if " of producer" in line:  # something was done to a process: it is going
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said = process.stderr.read()
        report = json.loads(process.stdout.read())
    assert (process.returncode, report["faults"]) == (130, []), said
    assert "ended early by Ctrl-C" in report["notes"] and "Traceback" not in said


@pytest.mark.parametrize("module", ["tests.chaos", "tests.chaos.soak"])
def test_wrong_usage_is_told_in_one_line(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--secconds", "5"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "--secconds" in done.stderr.splitlines()[-1]
