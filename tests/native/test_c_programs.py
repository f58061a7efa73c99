# SPDX-License-Identifier: Apache-2.0
"""Every program of native/tests, built with sanitizers and run as a process: a crash is one red test.

All run under AddressSanitizer and UBSan; those in which threads meet run under ThreadSanitizer too.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path.stem for path in (ROOT / "native" / "tests").glob("test_*.c"))
THREADED = [name for name in PROGRAMS if any(word in name for word in ("ring", "sender", "core", "intern", "red"))]
OPTIONS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1 second_deadlock_stack=1",
}
Build = Callable[[str], Path]


@pytest.fixture(scope="session")
def built() -> Build:
    """Builds one kind (asan, tsan), once a session. What failed to build fails each of its tests, with the reason."""
    done: dict[str, str] = {}

    def build(kind: str) -> Path:
        if kind not in done:
            targets = PROGRAMS if kind == "asan" else THREADED
            run = subprocess.run(["scripts/build.sh", kind, *targets], cwd=ROOT, capture_output=True, text=True)
            done[kind] = run.stderr if run.returncode else ""
        if done[kind]:
            pytest.fail(f"the {kind} build failed:\n{done[kind]}", pytrace=False)
        return ROOT / "build" / kind

    return build


def run(program: Path, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, str(program)]
    environment = os.environ | OPTIONS | {"TMPDIR": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, timeout=300)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", PROGRAMS)
def test_c_program_passes_under_address_and_undefined_behaviour_sanitizers(
    program: str, built: Build, tmp_path: Path
) -> None:
    ended = run(built("asan") / program, tmp_path)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-6000:]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", THREADED)
def test_c_program_passes_under_thread_sanitizer(program: str, built: Build, tmp_path: Path) -> None:
    ended = run(built("tsan") / program, tmp_path)
    if "unexpected memory mapping" in ended.stderr:  # more randomness in addresses than this libtsan knows
        if not shutil.which("setarch"):
            pytest.skip("ThreadSanitizer needs setarch (package util-linux) on this kernel")
        ended = run(built("tsan") / program, tmp_path, "setarch", platform.machine(), "-R")
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-6000:]
