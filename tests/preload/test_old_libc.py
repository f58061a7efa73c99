# SPDX-License-Identifier: Apache-2.0
"""An older Debian than this machine's, in a folder of its own: its glibc, its shell and tools, its Python 3.9."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.traced import AGENT, Result

ROOT = AGENT.parent
pytestmark = pytest.mark.timeout(600)  # the first one gets packages
SUITE = "bullseye"
PACKAGES = [
    *("libc6", "dash", "coreutils", "libselinux1", "libpcre2-8-0", "libacl1", "libattr1", "libgmp10", "zlib1g"),
    *("python3.9-minimal", "libpython3.9-minimal", "libexpat1", "libcrypt1"),
]


@pytest.fixture(scope="session")
def old() -> Path:
    """The folder; `chroot` goes into it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: chroot")
    folder = ROOT / "build" / "preload" / SUITE
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    words: list[str | Path] = [ROOT / "scripts" / "debs.sh", SUITE, architecture, folder, *PACKAGES]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"Debian's packages are not to be had: {done.stderr.strip()}")
    if not (folder / "bin" / "sh").exists():
        (folder / "bin" / "sh").symlink_to("dash")
    for name in ("proc", "run", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    agent = folder / "opt" / "agent" / "pillion"
    shutil.rmtree(agent, ignore_errors=True)
    shutil.copytree(AGENT / "pillion", agent, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


LIBRARY = "/opt/agent/pillion/libpillion.so"
MOUNTED = 'mount -t proc proc "$0/proc"; mount -t tmpfs run "$0/run"; mkdir -p "$0/run/pillion"; exec chroot "$0" "$@"'


def run(old: Path, *command: str, **env: str) -> Result:
    """Runs a command in the folder, with /proc and an empty /run/pillion, and nothing else in its environment."""
    words = ["unshare", "-m", "sh", "-ec", MOUNTED, str(old), "/usr/bin/env", "-i", *(f"{k}={env[k]}" for k in env)]
    done = subprocess.run([*words, *command], capture_output=True, text=True)
    return Result(done.returncode, done.stdout, done.stderr)


def same(old: Path, *command: str, **env: str) -> Result:
    alone, ours = run(old, *command, **env), run(old, *command, LD_PRELOAD=LIBRARY, **env)
    without = ours.out.replace(f"LD_PRELOAD={LIBRARY}\n", "")
    assert (ours.code, without, ours.err) == (alone.code, alone.out, alone.err)
    return ours


def test_its_glibc_is_older_than_this_machines(old: Path) -> None:
    assert "2.31" in run(old, f"/lib/{os.uname().machine}-linux-gnu/libc.so.6").out


def test_its_programs_see_no_difference(old: Path) -> None:
    assert same(old, "/bin/sh", "-c", "echo $0 | cat; env | sort; exit 5", PATH="/bin:/usr/bin").code == 5
    assert same(old, "/bin/ls", "-d", "/").out == "/\n"
    assert same(old, "/usr/bin/env").code == 0


def test_its_shell_does_a_thousand_short_commands(old: Path) -> None:
    loop = "i=0; while [ $i -lt 250 ]; do i=$((i+1)); /bin/echo $i | /bin/cat; /bin/true; /bin/false; done; exit 6"
    assert same(old, "/bin/sh", "-c", loop).code == 6


def test_its_python_is_reached(old: Path) -> None:
    """Without the module for this Python, so the record says what is missing."""
    code = "import sys, os; print(sys.path, sys.builtin_module_names, os.environ.get('PYTHONPATH')); sys.exit(3)"
    for options in ((), ("-I",)):
        assert same(old, "/usr/bin/python3.9", *options, "-c", code).code == 3
    script = f"LD_PRELOAD={LIBRARY} python3.9 -c 1; cat /run/pillion/processes/*"
    told = run(old, "/bin/sh", "-c", script, PATH="/bin:/usr/bin")
    assert '"code":"NO_MODULE"' in told.out and '"python":"3.9' in told.out, told
