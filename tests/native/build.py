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
def _build(kind: str, name: str) -> str:
    """What the compiler complained of. Built once a session, whatever came of it."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = subprocess.run(["scripts/build.sh", kind, name], cwd=ROOT, capture_output=True, text=True)
    return run.stderr or "?" if run.returncode else ""


def tool(name: str, sanitize: str = "address") -> Path:
    """The path of the built program; an exception with the compiler's words when it does not build."""
    kind = KINDS[sanitize]
    if complaint := _build(kind, name):
        raise RuntimeError(f"{name} does not build:\n{complaint}")
    return ROOT / "build" / kind / name
