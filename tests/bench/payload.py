# SPDX-License-Identifier: Apache-2.0
"""What each agent puts on the disk of the application: bytes and distributions, beside the bare environment."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from tests.bench.peers import ROOT, VENVS

MB = 1e6


def size(folder: Path) -> int:
    """Bytes of its files, without bytecode, which is made on the spot."""
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc"
    )


def own() -> int:
    """The injected package as a wheel for one Python has it: its Python files and the stripped module."""
    package = ROOT / "agent" / "pillion"
    module = package / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "module.so"
        if shutil.which("strip"):
            subprocess.run(["strip", "-o", str(stripped), str(module)], check=True)
        else:
            shutil.copy(module, stripped)
        return size(package) - sum(so.stat().st_size for so in package.glob("*.so")) + stripped.stat().st_size


def measure() -> dict[str, dict[str, float]]:
    def packages(name: str) -> Path:
        return next((VENVS / name).glob("lib/python*/site-packages"))

    bare, distributions = size(packages("bare")), len(list(packages("bare").glob("*.dist-info")))
    found = {"pillion": {"mb": own() / MB, "distributions": 0.0}}
    for name in ("otel", "ddtrace"):
        more = len(list(packages(name).glob("*.dist-info"))) - distributions
        found[name] = {"mb": (size(packages(name)) - bare) / MB, "distributions": float(more)}
    return found
