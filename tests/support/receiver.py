# SPDX-License-Identifier: Apache-2.0
"""Fixtures for conftests: a run directory, and a reference receiver where the module looks for its collector."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sink import Sink


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """On a tmpfs where there is one, with a short name: a socket's path is limited."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="pillion-test-", dir=place))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sink(run_dir: Path) -> Iterator[Sink]:
    """Listens there."""
    server = Sink(run_dir)
    yield server
    server.stop()
