# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the agent's tests: a run directory on a tmpfs, a sink that listens there, and traced programs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.otel import PATHS, Program
from tests.support.sink import Sink
from tests.support.traced import Traced


@pytest.fixture
def run_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pillion-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def sink(run_dir: Path) -> Iterator[Sink]:
    server = Sink(run_dir)
    yield server
    server.stop()


@pytest.fixture
def traced(run_dir: Path, sink: Sink, tmp_path: Path) -> Traced:
    return Traced(run_dir, tmp_path, sink)


@pytest.fixture(params=PATHS, ids=lambda path: Path(path).name or "installed")
def program(request: pytest.FixtureRequest, traced: Traced) -> Program:
    """Programs that use OpenTelemetry's API, in each of its versions."""
    return Program(traced.run_dir, traced.folder, traced.sink, str(request.param))
