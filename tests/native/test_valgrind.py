# SPDX-License-Identifier: Apache-2.0
"""memcheck over the quick C programs and over a Python program with the module in it; in CI only, it takes its time.

`make valgrind` runs all of them. The sanitizers see what memcheck sees in C; in the interpreter only memcheck can look.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts import valgrind
from tests.agent.conftest import traced  # noqa: F401 (a fixture)
from tests.support.receiver import run_dir, sink  # noqa: F401 (fixtures)
from tests.support.traced import Traced

QUICK = ("test_ring", "test_sender", "test_grpc_answer", "test_propagate", "test_sql")


@pytest.fixture(autouse=True)
def memcheck() -> None:
    if os.environ.get("CI") != "true":
        pytest.skip("memcheck runs in CI (CI=true) and by `make valgrind`")
    if lacking := valgrind.missing():
        pytest.skip(f"needs {lacking}")


@pytest.fixture(scope="session")
def built() -> str:
    return valgrind.build(*QUICK)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", QUICK)
def test_memcheck_finds_nothing_in_a_c_program(program: str, built: str, tmp_path: Path) -> None:
    assert built == ""
    assert valgrind.check(program, tmp_path) == ""


@pytest.mark.timeout(600)
def test_memcheck_finds_nothing_in_a_program_under_the_module(traced: Traced, tmp_path: Path) -> None:  # noqa: F811
    """With a collector that answers, so that the sender's side is seen too."""
    assert valgrind.check_module(tmp_path, traced.environ()) == ""
    assert {"named 1", "inner", "decorated", "coroutine"} <= {span.name for span in traced.sink.spans}
