# SPDX-License-Identifier: Apache-2.0
"""Builds one program of native/tests with a sanitizer, for tests that drive it as a process."""

from __future__ import annotations

import fcntl
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"address": "asan", "thread": "tsan"}


@functools.cache
def tool(name: str, sanitize: str = "address") -> Path:
    """The path of the built program; an exception with the compiler's words when it does not build."""
    kind = KINDS[sanitize]
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = subprocess.run(["scripts/build.sh", kind, name], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{name} does not build:\n{run.stderr}")
    return ROOT / "build" / kind / name
