# SPDX-License-Identifier: Apache-2.0
"""probation: what native/probation.c began before the interpreter, carried on in it. An orderly end is noticed there;
here, that a process has worked for a while, and the one end that looks like a crash and is none: Ctrl-C, which CPython
answers by finishing in order and then killing itself.
"""

from __future__ import annotations

import os
import sys

from pillion import rundir


def watch(run_dir: str) -> None:
    """For a process that libpillion.so started pillion in."""
    import atexit

    from pillion import _native

    path = _own(os.path.join(run_dir, "guard"))
    if path:
        _native.guarded(os.fsencode(path))
        atexit.register(_ended, path, os.getpid())


def _own(folder: str) -> str:
    ending = "-" + rundir.name(os.getpid(), rundir.start_ticks(), rundir.pid_namespace())
    try:
        names = os.listdir(folder)
    except OSError:
        return ""
    return next((os.path.join(folder, name) for name in names if name.endswith(ending) and name[0] != "."), "")


def _ended(path: str, pid: int) -> None:
    if getattr(sys, "last_type", None) is KeyboardInterrupt and pid == os.getpid():
        try:
            os.unlink(path)
        except OSError:
            pass
