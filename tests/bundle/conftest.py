# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the bundle of this source tree, made once; a run directory, with a reference receiver in it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import pythons
from tests.bundle.guests import FULL, ROOT, SHORT
from tests.support.receiver import run_dir, sink  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from these sources, for all versions; the compiler's cache makes it quick the second time."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("no ziglang in this environment: make bundle, or pip install -e '.[bundle]'")
    out = tmp_path_factory.mktemp("bundle") / "pillion"
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.bundle", "--out", str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture(scope="session")
def versions() -> tuple[str, ...]:
    """Those that this form of the tests tries."""
    return pythons.VERSIONS if FULL else SHORT
