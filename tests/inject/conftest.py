# SPDX-License-Identifier: Apache-2.0
"""What the tests of install share: small bundles made from the manifest's format, and the command run as a process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pillion import __main__
from pillion_inject import manifest

from tests.support.traced import AGENT, clean_environ

ARCHES, PYTHONS = ["aarch64", "x86_64"], ["3.8", "3.11"]
MACHINE = os.uname().machine


def contents(version: str, build: str = "") -> dict[str, tuple[bytes, int]]:
    """Files as a bundle has them, by path: content and mode."""
    files = {
        "rules.conf": (b"# rules\n", 0o644),
        "pillion/__init__.py": (f'"""{version} {build}"""\n'.encode(), 0o644),
        "pillion/boot/sitecustomize.py": (b"import sys\n", 0o644),
    }
    for arch in ARCHES:
        files[f"{arch}/libpillion.so"] = (f"{arch} {version}".encode() * 1000, 0o755)
        files[f"{arch}/cp311/_native.so"] = (os.urandom(64) * 2000, 0o755)
    return files


def write(folder: Path, files: dict[str, tuple[bytes, int]]) -> None:
    """Puts the files there."""
    for path, (content, mode) in files.items():
        at = folder / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content)
        at.chmod(mode)


@dataclass
class Bundle:
    """A bundle's folder."""

    path: Path
    version: str

    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        return found

    def rewrite(self, change: Callable[[dict[str, Any]], object]) -> Bundle:
        """Changes the manifest by hand."""
        made = self.manifest()
        change(made)
        (self.path / "manifest.json").write_text(json.dumps(made))
        return self


@dataclass
class Said:
    """What the command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def install(*args: str | Path) -> Said:
    """`pillion install ARGS`, in this process: many tests, each with many of them."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = __main__.main(["install", *map(str, args)])
    return Said(code, out.getvalue(), err.getvalue())


def command(*args: str | Path, before: Sequence[str] = (), **options: Any) -> Said:
    """The same as a process; `before`: what starts it."""
    line = [*before, sys.executable, "-m", "pillion", "install", *map(str, args)]
    environ = clean_environ(PYTHONPATH=str(AGENT))
    ended = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=60, **options)
    return Said(ended.returncode, ended.stdout, ended.stderr)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder: mode and content, or a link's end."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (mode, content)
    return found


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """Makes bundles."""

    def make(version: str = "0.1.0", build: str = "") -> Bundle:
        folder = tmp_path / f"bundle-{version}{build}"
        files = contents(version, build)
        write(folder, files)
        (folder / "manifest.json").write_bytes(manifest.describe(version, ARCHES, PYTHONS, files))
        return Bundle(folder, version)

    return make


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder that isn't there yet."""
    return tmp_path / "opt" / "pillion"
