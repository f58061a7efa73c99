# SPDX-License-Identifier: Apache-2.0
"""The module on every CPython that is here:  scripts/pythons.py [--tests] [VERSION…]

Each version gets a build of its own in build/pythons/VERSION/site, laid out as a wheel would be. tests/pythons/ then
injects it and runs. A version that is not on this machine is named, never silently left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEWER = ("3.14", "3.15")  # scripts/newer-pythons.sh gets them
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", *NEWER)
PROBE = (
    "import os, platform, sys, sysconfig\n"
    "ok = os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h'))\n"
    "print('%d.%d' % sys.version_info[:2], sys.executable, platform.python_implementation(), ok)"
)


def candidates(version: str) -> list[str]:
    """Where an interpreter of this version may be: pyenv's folders, then PATH, then what newer-pythons.sh unpacked."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    on_path = shutil.which(f"python{version}")
    unpacked = sorted((ROOT / "build" / "newer" / "usr" / "bin").glob(f"run-python{version}"))
    return [*map(str, found), *([on_path] if on_path else []), *map(str, unpacked), sys.executable]


def find(version: str) -> tuple[str | None, str]:
    """An interpreter that can be built for, or None and the reason."""
    reason = f"CPython {version} is not on this machine"
    for candidate in candidates(version):
        said = subprocess.run([candidate, "-c", PROBE], capture_output=True, text=True).stdout.split()
        if len(said) != 4 or said[0] != version or said[2] != "CPython":
            continue
        if said[3] == "True":
            return said[1], ""
        reason = f"CPython {version} has no Python.h here (package python{version}-dev)"
    return None, reason


def build(version: str, python: str) -> Path:
    """Builds the module for this interpreter: the folder that holds the package. Raises with the log."""
    folder = ROOT / "build" / "pythons" / version
    site = folder / "site"
    tools = ROOT / ".venv" / "bin"
    configure = [str(tools / "cmake"), "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
    configure += [
        f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}",
        f"-DPython_EXECUTABLE={python}",
        f"-DPILLION_OUTPUT={site}",
    ]
    commands = [] if (folder / "build.ninja").exists() else [configure]
    commands.append([str(tools / "ninja"), "-C", str(folder), "_native"])
    for command in commands:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}")
    leave = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "agent" / "pillion", site / "pillion", ignore=leave, dirs_exist_ok=True)
    return site


def main() -> int:
    """Builds all, says which are absent; with --tests goes on to run tests/pythons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true", help="also inject and test, in full")
    parser.add_argument("version", nargs="*", default=VERSIONS)
    options = parser.parse_args()
    absent = 0
    for version in options.version:
        python, reason = find(version)
        if python is None:
            absent += 1
            print(f"{version}: absent: {reason}")
            continue
        build(version, python)
        print(f"{version}: built with {python}")
    print(f"{len(options.version) - absent} of {len(options.version)} versions built, {absent} absent")
    if not options.tests:
        return 0
    command = [sys.executable, "-m", "pytest", "tests/pythons", "-k", " or ".join(options.version)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PILLION_PYTHONS": "full"}).returncode


if __name__ == "__main__":
    sys.exit(main())
