# SPDX-License-Identifier: Apache-2.0
"""The one table and its mirrors: each name has its file, its test and its row in the README, and there's nothing extra.

Also the engine's side for all of them at once: everything is wrapped, and everything is as before after undo.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pillion import patch
from pillion.hooks import HOOKS

ROOT = Path(__file__).resolve().parents[3]
NAMES = [hook.name for hook in HOOKS]
FILES = {hook.file for hook in HOOKS}


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


def test_every_file_is_in_the_table_and_every_row_has_its_file():
    found = {path.stem for path in (ROOT / "agent" / "pillion" / "hooks").glob("*.py")} - {"__init__"}
    assert found == FILES


def test_every_hook_has_its_test_and_there_is_none_for_nothing():
    found = {path.stem[5:] for path in (ROOT / "tests" / "agent" / "hooks").glob("test_*.py")} - {
        "table",
        "faults",
        "names",
    }
    assert found == FILES


@pytest.mark.parametrize("name", NAMES)
def test_hook_has_its_row_in_the_readme(name):
    rows = re.findall(r"^\|([^|]*)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert any(f"`{name}`" in row for row in rows), "no row of the table Libraries begins with it"


@pytest.mark.parametrize("hook", HOOKS, ids=NAMES)
def test_modules_of_the_row_are_the_modules_of_its_targets(hook):
    targets = hook.load().TARGETS
    assert {address.partition(":")[0] for address in targets} == set(hook.modules)
    assert all(isinstance(target, patch.Target) for target in targets.values())


@pytest.mark.parametrize("hook", HOOKS, ids=NAMES)
def test_file_keeps_the_shape_of_a_hook(hook):
    text = (ROOT / "agent" / "pillion" / "hooks" / f"{hook.file}.py").read_text()
    assert len(text.splitlines()) <= 120
    assert not re.search(r"\bversion_info\b|\b__version__\b", text), "a version difference is a target line of its own"
    assert not re.search(r"^\s*(except|try)\b", text, re.MULTILINE), "hooks never catch: the engine contains and counts"
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert imported <= {"__future__", "pillion", "os", "sys", "weakref"}, "a hook never imports its library"


def test_everything_is_wrapped_and_undone(receiver):
    run = receiver.run("undo_all.py")
    assert (run.code, run.err, run.log) == (0, "", "")
    lines = run.out.splitlines()
    assert lines[-1] == "undone"
    wrapped = {line.split()[1] for line in lines if line.startswith("wrapped")}
    expected = {
        address
        for hook in HOOKS
        for address, target in hook.load().TARGETS.items()
        if not address.startswith("sqlalchemy.dialects.")
    }
    absent = {line.split()[1] for line in lines if line.startswith("absent")}
    assert wrapped == expected - absent
    assert run.spans == []
