# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the preload's tests: a run directory on a tmpfs, a sink that listens there, and preloaded programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.preloaded import Preloaded
from tests.support.receiver import run_dir, sink  # noqa: F401 (fixtures)
from tests.support.sink import Sink


@pytest.fixture
def preloaded(run_dir: Path, sink: Sink, tmp_path: Path) -> Preloaded:  # noqa: F811
    return Preloaded(run_dir, tmp_path, sink)
