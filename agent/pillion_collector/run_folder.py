# SPDX-License-Identifier: Apache-2.0
"""The run directory as the collector makes and keeps it: for one user alone, or shared by the processes of all.

Shared, everybody may put files into its folders and nobody but we can take any away or read them: sticky, setgid, and
what a process puts there has mode 0640 and our group. Only folders of our own are opened that far.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pillion import rundir

from pillion_collector import Trouble

_REMEDY = "set PILLION_RUN_DIR to a folder of yours, on a tmpfs if there is one"


def make(path: Path, shared: bool) -> None:
    """Raises Trouble for what the user must change."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if shared:
            _share(path)
        else:
            rundir.make(str(path))
        probe(path)
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        raise Trouble(f"run directory (PILLION_RUN_DIR) {path}: {text}; {_REMEDY}") from error


def probe(path: Path) -> None:
    """Really writable? Root may write where the mode says no, but not on a read-only mount."""
    name = path / f".pillion-{os.getpid()}"
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    name.unlink()


def _share(path: Path) -> None:
    _open_up(path, 0o755)
    for name in rundir.FOLDERS:
        _open_up(path / name, rundir.SHARED)


def _open_up(path: Path, mode: int) -> None:
    """Makes the folder or takes the one that is there, if it is ours; by descriptor, so that it can't be swapped."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        about = os.fstat(folder)
        if about.st_uid != os.geteuid():
            raise Trouble(
                f"run directory (PILLION_RUN_DIR) {path}: --shared, but it belongs to user {about.st_uid} and not to"
                f" {os.geteuid()}; give it to the collector's user, or {_REMEDY}"
            )
        if about.st_gid != os.getegid() and mode & stat.S_ISGID:
            os.fchown(folder, -1, os.getegid())
        os.fchmod(folder, mode)
        if stat.S_IMODE(os.fstat(folder).st_mode) != mode:
            raise Trouble(f"run directory (PILLION_RUN_DIR) {path}: its mode can't be {mode:o}; {_REMEDY}")
    finally:
        os.close(folder)
