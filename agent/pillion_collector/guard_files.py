# SPDX-License-Identifier: Apache-2.0
"""The guarded start's files (native/probation.c), as the collector tends them: it knows how a process ended, which the
next start of the same program can only guess, so an end that was no crash is taken from the file; and old ones go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from pathlib import Path
from typing import Any

CALM = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}  # somebody asked it to end
KEPT_S = 2 * 24 * 3600


def acquit(run_dir: Path, process_id: str, exit: dict[str, Any] | None) -> None:
    """An exit code, or a signal that asks to end: its start counts for no crash. Else nothing happens."""
    if exit is None or not ("code" in exit or exit.get("signal") in CALM):
        return
    with contextlib.suppress(OSError), os.scandir(run_dir / "guard") as entries:
        for entry in entries:
            if entry.name.endswith(f"-{process_id}") and not entry.name.startswith("."):
                os.unlink(entry.path)


def sweep(run_dir: Path, now_ns: int) -> None:
    """Removes what nobody looks at any more: files of the dead, verdicts that are over, what was never finished."""
    with contextlib.suppress(OSError), os.scandir(run_dir / "guard") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime_ns < now_ns - KEPT_S * 10**9 and not _is_held(entry.path):
                    os.unlink(entry.path)


def _is_held(path: str) -> bool:
    """Its process lives. False for what is no file of ours to open."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
