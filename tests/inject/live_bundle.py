# SPDX-License-Identifier: Apache-2.0
"""live_bundle: a bundle that works, for this very interpreter: the checkout's files in a bundle's layout.

`make bundle` makes the real one, for all of them; what is tested with this one is how versions take turns.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from pillion.start import VERSION
from pillion_inject import manifest

from scripts.bundle import code
from tests.inject.conftest import write
from tests.support.traced import AGENT

MACHINE = os.uname().machine
TAG = "cp{}{}".format(*sys.version_info[:2])


def make(folder: Path, version: str) -> Path:
    """The bundle's folder; its code calls itself by this version."""
    files: dict[str, tuple[bytes, int]] = {}
    for path in sorted((AGENT / "pillion").rglob("*.py")):
        files[str(path.relative_to(AGENT))] = (path.read_bytes(), 0o644)
    files["pillion_inject"] = (code.inject(), 0o644)
    start, mode = files["pillion/start.py"]
    assert start.count(f'VERSION = "{VERSION}"'.encode()) == 1
    files["pillion/start.py"] = (start.replace(f'"{VERSION}"'.encode(), f'"{version}"'.encode()), mode)
    native = AGENT / "pillion" / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    files[f"{MACHINE}/{TAG}/_native.so"] = (native.read_bytes(), 0o755)
    files[f"{MACHINE}/{manifest.LIBRARY}"] = ((AGENT / "pillion" / manifest.LIBRARY).read_bytes(), 0o755)
    files["rules.conf"] = ((AGENT / "pillion" / "rules.conf").read_bytes(), 0o644)
    write(folder, files)
    python = "{}.{}".format(*sys.version_info[:2])
    (folder / manifest.NAME).write_bytes(manifest.describe(version, [MACHINE], [python], files))
    return folder
