# SPDX-License-Identifier: Apache-2.0
"""A short run of every fuzz target, the OTLP decoder's a whole minute; in CI only, since it takes its time.

`make fuzz` runs them for longer.
"""

from __future__ import annotations

import os

import pytest

from scripts import fuzz

SECONDS = {"fuzz_decode": 60}  # others: a few


@pytest.fixture(scope="session")
def fuzzers() -> None:
    """Built, or the test says why it can't run."""
    if os.environ.get("CI") != "true":
        pytest.skip("fuzzing runs in CI (CI=true) and by `make fuzz`")
    lacking = fuzz.missing()
    if lacking:
        pytest.skip(f"needs {lacking}")
    fuzz.build()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", fuzz.targets())
def test_fuzz_target_finds_nothing(target: str, fuzzers: None) -> None:
    ended = fuzz.fuzz(target, SECONDS.get(target, 8))
    assert ended.returncode == 0, ended.stderr[-6000:]
