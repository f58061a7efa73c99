# SPDX-License-Identifier: Apache-2.0
"""docs/failure-modes.md: every row has a test that exists, or says why it can't happen, or that it isn't built yet."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = re.findall(
    r'^\| <a id="(\w+)"></a>(\w+) (\|.*\|)$', (ROOT / "docs" / "failure-modes.md").read_text(), re.MULTILINE
)
GROUPS = {"A": range(1, 35), "B": range(35, 54), "C": range(54, 63), "D": range(63, 76), "E": range(76, 86)}
LETTERS = [f"A34{letter}" for letter in "abcdefgh"]


@cache
def functions(path: Path) -> set[str]:
    """The tests of a file, by name: what pytest would collect."""
    tree = ast.parse(path.read_text())
    found = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, found) and node.name.startswith("test_")}


def test_every_row_is_there_once_under_its_number() -> None:
    wanted = [f"{group}{number}" for group, numbers in GROUPS.items() for number in numbers]
    wanted += LETTERS + [f"F{number}" for number in range(86, 94)]
    assert sorted(row[0] for row in ROWS) == sorted(wanted)
    assert all(anchor == shown for anchor, shown, _ in ROWS)


def test_every_row_has_a_test_or_a_reason() -> None:
    bare = [
        anchor
        for anchor, _, text in ROWS
        if not (
            re.search(r"`tests/[\w/]+\.py::test_\w+`", text) or re.search(r"(cannot happen|not built yet): \w", text)
        )
    ]
    assert not bare


def test_every_test_that_is_named_exists() -> None:
    named = [(anchor, each) for anchor, _, text in ROWS for each in re.findall(r"`(tests/[^`]*)`", text)]
    assert len(named) > 100
    missing = []
    for anchor, each in named:
        path, _, name = each.partition("::")
        if not (ROOT / path).is_file() or name not in functions(ROOT / path):
            missing.append(f"{anchor}: {each}")
    assert not missing
