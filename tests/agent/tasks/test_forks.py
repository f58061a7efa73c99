# SPDX-License-Identifier: Apache-2.0
"""os.fork, subprocesses and multiprocessing: children record for themselves, and nobody can tell that they do."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.agent.tasks.conftest import APPS, HERE, Programs, Python


def test_forked_children_record_under_their_parents_spans_and_end_as_they_want(programs: Programs, python: Python):
    run = programs.pair("forks.py", python=python, spans=16)
    assert run.code == 7
    tree = run.tree()
    ways = ("first", "exit", "_exit", "signal", "nested", "by C", "in a thread")
    assert all(tree[f"child {way}"] == [f"parent {way}"] for way in ways)
    assert tree["child grandchild"] == ["parent nested"]
    assert tree["orphan"] == [""]
    assert len({span.resource["process.pid"] for span in run.spans}) == 10


def test_children_that_are_other_programs_get_nothing_of_ours(programs: Programs, python: Python):
    """How many of them in a storm: `make storm` asks for more."""
    many = int(os.environ.get("STORM", "1000"))
    runs = 8 if python.executable != HERE.executable else 9
    run = programs.pair("children.py", str(many), python=python, spans=many // 10 + many // 20 + runs)
    assert run.code == 0
    assert len(run.named("ten")) == many // 10
    assert len(run.named("in child")) == 1


def test_a_storm_of_python_children_loses_none(programs: Programs):
    """Each of them starts, records and ends within a moment; 1,000 of them with `make storm`."""
    many = int(os.environ.get("STORM_PYTHON", "40"))
    run = programs.pair("storm.py", str(many), spans=many + 1)
    assert [span.name for span in run.spans] == ["SELECT"] * (many + 1)
    assert len({span.resource["process.pid"] for span in run.spans}) == many + 1


def test_multiprocessing_workers_that_are_forked_record(programs: Programs, python: Python):
    workers(programs, python, "fork")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing_workers_that_are_started_anew_record(programs: Programs, method: str):
    workers(programs, HERE, method)


def workers(programs: Programs, python: Python, method: str) -> None:
    run = programs.pair("workers.py", method, python=python, spans=4 + 2 + 4 + 5)
    tree = run.tree()
    assert tree["work 25"] == [""], "a pipe to another process is no carrier"
    assert tree["work 1"] == (["process"] if method == "fork" else [""])


@pytest.mark.parametrize("where", ["here", "thread"])
def test_what_was_recorded_before_a_fork_is_sent_though_nothing_follows(programs: Programs, python: Python, where: str):
    command = [python.executable, str(APPS / "idle_parent.py"), where]
    started = programs.start(python, True, command, stdin=subprocess.PIPE)
    programs.taken(1)
    assert started.process.poll() is None
    started.end("go on")
    assert (started.process.returncode, started.out, started.err) == (0, "go on\n", "")
