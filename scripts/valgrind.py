# SPDX-License-Identifier: Apache-2.0
"""memcheck over the C programs of native/tests and over a Python program with the module in it.

scripts/valgrind.py [NAME…]     names: those of native/tests without .c, and "module"
Of the interpreter's own errors and leaks only those count in which a frame of the module appears.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOUND = 99  # exit code of a program in which something was found
MEMCHECK = [
    "valgrind",
    "--quiet",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--child-silent-after-fork=yes",
]
APART = {"test_core_fork"}  # races a spinning thread against a fork 200 times; memcheck runs one thread at a time
PROGRAM = ROOT / "tests" / "apps" / "every_call.py"


def programs() -> list[str]:
    return sorted(path.stem for path in (ROOT / "native" / "tests").glob("test_*.c") if path.stem not in APART)


def missing() -> str | None:
    """What this machine lacks, or None."""
    return None if shutil.which("valgrind") else "valgrind (package valgrind)"


def build(*names: str) -> str:
    """The C programs without sanitizers. What the compiler complained of, or nothing."""
    done = subprocess.run(
        ["scripts/build.sh", "plain", *(names or programs())], cwd=ROOT, capture_output=True, text=True
    )
    return done.stderr if done.returncode else ""


def check(name: str, folder: Path) -> str:
    """One C program. What was found, or nothing."""
    options = [f"--error-exitcode={FOUND}", "--errors-for-leak-kinds=definite"]
    command = [*MEMCHECK, *options, str(ROOT / "build" / "plain" / name)]
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    return "" if done.returncode == 0 else f"exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-6000:]}"


def check_module(folder: Path, environment: dict[str, str]) -> str:
    """A Python program under the module. What was found in the module, or nothing."""
    report = folder / "memcheck.xml"
    command = [*MEMCHECK, "--xml=yes", f"--xml-file={report}", "--num-callers=40", sys.executable, str(PROGRAM)]
    environment = environment | {"PYTHONMALLOC": "malloc"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, cwd=folder)
    if done.returncode:
        return f"exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return "\n\n".join(_ours(report))


def _ours(report: Path) -> list[str]:
    """The errors in which the module appears, as text."""
    found = []
    for error in tree.parse(report).getroot().iter("error"):
        frames = [(frame.findtext("obj") or "", frame.findtext("fn") or "?") for frame in error.iter("frame")]
        if any("_native" in where for where, _ in frames):
            what = error.findtext("what") or error.findtext("xwhat/text") or "?"
            stack = "\n".join(f"    {function} ({Path(where).name})" for where, function in frames[:24])
            found.append(f"{error.findtext('kind')}: {what}\n{stack}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names or [*programs(), "module"]
    if lacking := missing():
        print(f"needs {lacking}", file=sys.stderr)
        return 2
    plain = [name for name in names if name != "module"]
    if plain and (complaint := build(*plain)):
        print(complaint, file=sys.stderr)
        return 1
    bad = 0
    for name in names:
        shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="pln-", dir=shared) as folder:
            found = check_module(Path(folder), _injected(folder)) if name == "module" else check(name, Path(folder))
        print(f"{name:<24}{'found something' if found else 'clean'}", flush=True)
        if found:
            print(found, file=sys.stderr)
            bad += 1
    return 1 if bad else 0


def _injected(folder: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PILLION_", "OTEL_", "PYTHON"))}
    return kept | {"PYTHONPATH": str(ROOT / "agent" / "pillion" / "boot"), "PILLION_RUN_DIR": f"{folder}/run"}


if __name__ == "__main__":
    sys.exit(main())
