# SPDX-License-Identifier: Apache-2.0
"""Runs programs as other users, without any right besides; for tests that root runs.

Where Python or this repository lies in a folder of root's alone, the program gets a mount namespace in which the folder
above shows just these two, open to all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_OPEN = """set -eu
stage=$(mktemp -d); mount -t tmpfs tmpfs "$stage"; tops=$1; shift
number=0
for path in $PATHS; do number=$((number + 1)); mkdir "$stage/$number"; mount --bind "$path" "$stage/$number"; done
for top in $tops; do mount -t tmpfs -o mode=755 tmpfs "$top"; done
number=0
for path in $PATHS; do number=$((number + 1)); mkdir -p "$path"; mount --bind "$stage/$number" "$path"; done
umount -l "$stage"; rmdir "$stage"; unset PATHS
exec "$@"
"""


def user(uid: int) -> list[str]:
    """What to put before a command."""
    drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
    paths = [path for path in (Path(sys.base_prefix).resolve(), ROOT) if _closed(path)]
    if not paths:
        return drop
    tops = " ".join(sorted({f"/{path.parts[1]}" for path in paths}))
    return ["unshare", "--mount", "env", f"PATHS={' '.join(map(str, paths))}", "sh", "-c", _OPEN, "sh", tops, *drop]


def _closed(path: Path) -> bool:
    return any(not one.stat().st_mode & 0o001 for one in (path, *path.parents))


@cache
def may() -> bool:
    """Whether that can be done here."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    check = "import os, pillion_collector.up, sys; os.execv(sys.executable, [sys.executable, '-c', 'import pillion'])"
    return (
        subprocess.run([*user(64_100), sys.executable, "-c", check], capture_output=True, check=False).returncode == 0
    )


as_root = pytest.mark.skipif(not may(), reason="needs root, setpriv, and a mount namespace where Python is root's")
