# SPDX-License-Identifier: Apache-2.0
"""others: agents that are not ours, each installed once into a folder of its own under build/.

Not into the venv: they pin one another's versions to the letter, so pip can't have them beside everything else.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[2] / "build" / "others"
AGENTS = {
    "ddtrace": ("ddtrace>=3,<5",),
    "opentelemetry": (
        "opentelemetry-distro>=0.60b0,<1",
        "opentelemetry-instrumentation-flask>=0.60b0,<1",
        "opentelemetry-instrumentation-requests>=0.60b0,<1",
        "opentelemetry-instrumentation-sqlite3>=0.60b0,<1",
    ),
    "sentry": ("sentry-sdk>=2,<3",),
}


def agent(name: str) -> Path:
    """The folder to put on a path. Skips the test, saying why, where it can't be had."""
    folder = BUILD / name
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile"]
            done = subprocess.run([*pip, "--target", str(folder), *AGENTS[name]], capture_output=True, text=True)
            if done.returncode != 0:
                pytest.skip(f"{name} cannot be had: {done.stderr[-300:]}")
            (folder / "ready").touch()
    return folder
