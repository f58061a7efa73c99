# SPDX-License-Identifier: Apache-2.0
"""interpreters: the CPythons whose headers and compilers make the bundle: pyenv's, the system's, or Debian's newest."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from scripts import pythons
from scripts.bundle.native import ROOT, WORK

ASK = "import sysconfig; print(sysconfig.get_path('include'))"


def find(versions: list[str]) -> tuple[dict[str, str], list[str]]:
    """The interpreter of each version, and a line for each that is missing. Gets those of Debian's that it needs."""
    if any(version in pythons.NEWER and pythons.find(version)[0] is None for version in versions):
        ended = subprocess.run([str(ROOT / "scripts" / "newer-pythons.sh")], capture_output=True, text=True)
        if ended.returncode:
            print(f"CPython {' and '.join(pythons.NEWER)} can't be had from Debian:\n{ended.stderr.strip()}")
    found = {version: pythons.find(version) for version in versions if version in pythons.VERSIONS}
    found |= {version: (None, f"pillion is not for CPython {version}") for version in versions if version not in found}
    missing = [reason for python, reason in found.values() if python is None]
    return {version: python for version, (python, _) in found.items() if python is not None}, missing


def headers(version: str, python: str) -> Path:
    """A copy of its headers: they serve both architectures and both libcs, as nothing in them tells these apart."""
    made = WORK / "headers" / version
    source = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=True).stdout.strip()
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(source, made)
    (made / "crypt.h").touch()  # up to 3.10 Python.h includes it for whoever wants crypt(); not every libc has one
    config = (made / "pyconfig.h").read_text()
    for line in (
        "#define SIZEOF_VOID_P 8",
        "#define SIZEOF_LONG 8",
        "#define SIZEOF_WCHAR_T 4",
        "#define SIZEOF_TIME_T 8",
    ):
        if line not in config:
            raise RuntimeError(f"{source}/pyconfig.h lacks {line!r}: these headers serve no other machine")
    for name in ("Py_DEBUG", "Py_TRACE_REFS", "Py_GIL_DISABLED"):
        if f"#define {name} 1" in config:
            raise RuntimeError(f"{source}/pyconfig.h has {name}: its modules fit no usual build")
    return made
