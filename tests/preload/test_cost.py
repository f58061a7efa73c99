# SPDX-License-Identifier: Apache-2.0
"""What every program pays for the library, in instructions (they repeat) and in system calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.preloaded import LIBRARY, compile_c

# 0.1 ms is about 300,000 instructions. Valgrind doesn't count the kernel's: the calls below are a tenth of it.
INSTRUCTIONS = 50_000


def instructions(program: str | Path, library: str) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program)]
    environ = {"PATH": os.environ["PATH"], "LD_PRELOAD": library}
    told = subprocess.run(command, env=environ, capture_output=True, text=True).stderr
    (found,) = re.findall(r"Collected : (\d+)", told)
    return int(found)


@pytest.mark.parametrize("program", ["/bin/true", "/bin/sh", "many libraries"])
def test_a_program_starts_with_few_instructions_more(tmp_path: Path, program: str) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not on this machine")
    path = Path(program)
    if program == "many libraries":  # each weak name is looked for in each of them
        (tmp_path / "part.c").write_text("int NAME(void) { return 0; }")
        names = [f"part{number}" for number in range(60)]
        for name in names:
            compile_c(tmp_path / f"lib{name}.so", "-shared", "-fPIC", f"-DNAME={name}", tmp_path / "part.c")
        (tmp_path / "main.c").write_text("int main(void) { return 0; }")
        link = [f"-L{tmp_path}", f"-Wl,-rpath,{tmp_path}", "-Wl,--no-as-needed", *(f"-l{name}" for name in names)]
        path = compile_c(tmp_path / "main", tmp_path / "main.c", *link)
    assert 0 < instructions(path, str(LIBRARY)) - instructions(path, "") < INSTRUCTIONS


def calls(*command: str, library: str) -> list[str]:
    """Names of the system calls, in order."""
    words = ["strace", "-qq", "-E", f"LD_PRELOAD={library}", *command]
    told = subprocess.run(words, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    if told.returncode and "strace" in told.stderr:
        pytest.skip(told.stderr.strip().splitlines()[-1])
    return re.findall(r"^(\w+)\(", told.stderr, re.MULTILINE)


def test_a_program_makes_no_system_call_more_but_to_map_it() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not on this machine")
    ours, bare = calls("/bin/true", library=str(LIBRARY)), calls("/bin/true", library="")
    more = [name for name in ours]
    for name in bare:
        if name in more:
            more.remove(name)
    assert sorted(more) in (
        sorted(["openat", "read", "newfstatat", "mmap", "mmap", "close"]),
        sorted(["openat", "read", "fstat", "mmap", "mmap", "close"]),
    )
