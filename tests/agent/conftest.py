# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the agent's tests: a run directory on a tmpfs, a sink that listens there, and traced programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.otel import PATHS, Program
from tests.support.receiver import run_dir, sink  # noqa: F401 (fixtures)
from tests.support.sink import Sink
from tests.support.traced import Traced


@pytest.fixture
def traced(run_dir: Path, sink: Sink, tmp_path: Path) -> Traced:  # noqa: F811
    return Traced(run_dir, tmp_path, sink)


@pytest.fixture(params=PATHS, ids=lambda path: Path(path).name or "installed")
def program(request: pytest.FixtureRequest, traced: Traced) -> Program:
    """Programs that use OpenTelemetry's API, in each of its versions."""
    return Program(traced.run_dir, traced.folder, traced.sink, str(request.param))
