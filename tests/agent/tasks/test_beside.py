# SPDX-License-Identifier: Apache-2.0
"""What else looks into a process or interrupts it: signals, tracers, debuggers, faulthandler, interpreters."""

from __future__ import annotations

import pytest

from scripts import pythons
from tests.agent.tasks.conftest import APPS, HERE, Programs, Python


def test_signals_interrupt_as_ever_and_kill_as_ever(programs: Programs, python: Python):
    script = [python.executable, str(APPS / "signals.py")]
    run = programs.command(script, spans=None, python=python)
    assert run.code == -2
    tree = run.tree()
    assert len(tree["handler"]) == 20
    assert set(tree["handler"]) <= {"alarmed", "SELECT numbers < alarmed"}
    assert len(tree["stopped"]) == 20
    assert {name for name in tree if name.startswith("dies of")} <= {f"dies of {n}" for n in (3, 6, 9, 11, 15)}


def test_tracers_profilers_and_debuggers_see_the_application_alone(programs: Programs, python: Python):
    """But for one thing: profilers aren't told of a method in C as such while it is wrapped."""
    programs.pair("tracers.py", python=python, spans=12 if python == HERE else 14)


def test_sub_interpreters_are_left_alone(programs: Programs, python: Python):
    run = programs.pair("interpreters.py", python=python, spans=3)
    assert [span.name for span in run.spans] == ["SELECT SELECT"] * 3


@pytest.mark.parametrize("version", ["3.8", "3.9"])
def test_types_that_all_interpreters_share_are_left_alone_as_well(programs: Programs, version: str):
    found, reason = pythons.find(version)
    if found is None:
        pytest.skip(reason)
    run = programs.pair("interpreters.py", python=Python(found, pythons.build(version, found)), spans=3)
    assert [span.name for span in run.spans] == ["SELECT SELECT"] * 3


def test_a_program_under_debugpy_is_the_same_and_its_spans_come(programs: Programs):
    script = str(APPS / "threads.py")
    command = [HERE.executable, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:0", script]
    run = programs.command(command, spans=13, PYTHONWARNINGS="default", PYDEVD_DISABLE_FILE_VALIDATION="1")
    assert run.code == 0
    assert run.tree()["work nested"] == ["inner < main"]
