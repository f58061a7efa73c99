# SPDX-License-Identifier: Apache-2.0
"""guests: the interpreters that a bundle is tried under: this machine's, of old glibc, of musl, of aarch64 by qemu.

Foreign ones are unpacked from Debian's packages below build/guests, once, and run by their own loader.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts import pythons
from tests.support.traced import clean_environ

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "build" / "guests"
FULL = os.environ.get("PILLION_BUNDLE") == "full"
SHORT = ("3.8", "3.11", "3.14")
LIBRARIES = ["libexpat1", "libsqlite3-0", "libuuid1", "libbz2-1.0", "liblzma5", "libcrypt1", "zlib1g", "libgcc-s1"]


@dataclass(frozen=True)
class Guest:
    """An interpreter: how it is started, and how libpillion.so gets into it."""

    version: str
    command: tuple[str, ...]
    arch: str = "x86_64"
    emulated: bool = False

    def run(self, bundle: Path | None, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs it, with the bundle's library preloaded or, for None, without."""
        environment = clean_environ(PYTHONDONTWRITEBYTECODE="1", **variables)
        command = list(self.command)
        if bundle is not None and self.emulated:
            command[1:1] = ["-E", f"LD_PRELOAD={bundle / self.arch / 'libpillion.so'}"]
        elif bundle is not None:
            environment["LD_PRELOAD"] = str(bundle / self.arch / "libpillion.so")
        here = ROOT / "tests" / "pythons"
        return subprocess.run(
            [*command, "-W", "error", *args], cwd=here, env=environment, capture_output=True, text=True, timeout=200
        )


def unpacked(name: str, arch: str, *packages: str, suite: str = "") -> Path:
    """These packages of a suite of Debian's (by default the one that is called so), in a folder NAME-ARCH of their own.

    Skips, with the reason, where they can't be had."""
    suite = suite or name
    folder = GUESTS / f"{name}-{arch}"
    if not (folder / ".ready").exists():
        command = [str(ROOT / "scripts" / "debs.sh"), suite, arch, str(folder), *packages]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"{suite} for {arch} can't be had: {ended.stderr.strip()[-300:]}")
        (folder / ".ready").touch()
    return folder


def here(version: str) -> Guest:
    """This machine's interpreter of a version."""
    if platform.machine() != "x86_64":
        pytest.skip("these interpreters are looked for on x86_64 alone")
    if not FULL and version not in SHORT:
        pytest.skip(f"CPython {version} is for `make test-bundle`")
    python, reason = pythons.find(version)
    if python is None:
        pytest.skip(reason)
    return Guest(version, (python,))


def python_packages(version: str, *more: str) -> list[str]:
    names = [f"python{version}-minimal", f"libpython{version}-minimal", f"libpython{version}-stdlib"]
    return ["libc6", *names, *LIBRARIES, *more]


def old_glibc() -> Guest:
    """glibc 2.31, whose threads are a library of their own: the oldest that a Debian mirror still has."""
    root = unpacked("bullseye", "amd64", *python_packages("3.9", "libssl1.1", "libffi7"))
    folders = [root / "lib" / "x86_64-linux-gnu", root / "usr" / "lib" / "x86_64-linux-gnu"]
    loader = str(folders[0] / "ld-2.31.so")
    return Guest("3.9", (loader, "--library-path", ":".join(map(str, folders)), str(root / "usr/bin/python3.9")))


def musl() -> Guest:
    """musl, as Alpine has it; scripts/musl-python.sh takes minutes, so only the full form builds one."""
    python = ROOT / "build" / "musl-python" / "bin" / "python3"
    if FULL and not python.exists():
        ended = subprocess.run([str(ROOT / "scripts" / "musl-python.sh")], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout[-1000:] + ended.stderr[-1000:]
    if not python.exists():
        pytest.skip("no Python on musl here: scripts/musl-python.sh makes one, `make test-bundle` calls it")
    said = subprocess.run([str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True)
    return Guest(said.stdout.decode().strip(), (str(python),))


def aarch64() -> Guest:
    """Debian 12's Python for aarch64, by qemu."""
    root = unpacked("bookworm", "arm64", *python_packages("3.11", "libssl3", "libffi8"))
    return Guest("3.11", (qemu(), "-L", str(root), str(root / "usr/bin/python3.11")), "aarch64", True)


def qemu() -> str:
    """qemu's emulation of single programs; skips where there is none."""
    found = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if found is None:
        pytest.skip("no qemu-aarch64-static here (package qemu-user-static)")
    return found
