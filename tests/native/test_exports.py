# SPDX-License-Identifier: Apache-2.0
"""What the injected module shows to the other libraries of its process: its entry, and nothing that could clash."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "agent" / "pillion" / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"


def nm(*options: str) -> list[str]:
    listed = subprocess.run(["nm", "-D", *options, str(MODULE)], capture_output=True, text=True, check=True).stdout
    return [line.split()[-1].split("@")[0] for line in listed.splitlines()]


def test_the_module_exports_its_entry_alone() -> None:
    assert nm("--defined-only") == ["PyInit__native"]


def test_nghttp2_is_either_wholly_inside_or_wholly_the_system_s() -> None:
    wanted = [name for name in nm("--undefined-only") if name.startswith("nghttp2_")]
    needed = subprocess.run(["readelf", "-d", str(MODULE)], capture_output=True, text=True, check=True).stdout
    assert bool(wanted) == ("libnghttp2" in needed)
