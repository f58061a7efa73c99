# SPDX-License-Identifier: Apache-2.0
"""boot: the one file that CPython finds by PYTHONPATH. Starts pillion, then runs the application's sitecustomize.

It is found by PYTHONPATH in two cases: `pillion run`, and programs that open libpython only after libpillion.so had to
decide (native/preload_path.c), which spells this folder so that PYTHONPATH can be put back. Elsewhere it isn't used.
Parses under every Python there is, since it may be found by any. Catches BaseException: a SystemExit that left this
file would end the interpreter. Prints nothing. What was decided, and why, is written where `pillion why` finds it.
"""

import os
import sys


def _leave_path(here):
    """Takes this folder off sys.path, however it was spelled there."""
    kept = []
    for entry in sys.path:
        try:
            ours = os.path.abspath(entry) == here
        except BaseException:  # not a str: somebody else's business
            ours = False
        if not ours:
            kept.append(entry)
    sys.path[:] = kept


def _restore_variable(here):
    """Gives PYTHONPATH back as it was before libpillion.so; False if that library had no hand in it."""
    value = os.environ.get("PYTHONPATH", "")
    mark = os.path.join(here, ".")
    if value == mark:
        del os.environ["PYTHONPATH"]
    elif value == mark + os.sep:
        os.environ["PYTHONPATH"] = ""
    elif value.startswith(mark + os.pathsep):
        os.environ["PYTHONPATH"] = value[len(mark) + 1 :]
    else:
        return False
    return True


def _start(here, via):
    if sys.version_info[:2] < (3, 8):  # noqa: UP036
        return  # nothing of ours can be read by it, so it can't be told either
    root = os.path.dirname(os.path.dirname(here))
    sys.path.insert(0, root)
    from pillion import start

    del sys.path[0]
    start.boot(via, root)


def _run_next(ours):
    """The sitecustomize that the application would have had; its errors are CPython's to show."""
    sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)


_ours = sys.modules["sitecustomize"]
_here = os.path.dirname(os.path.abspath(__file__))
_path = _mask = None
try:
    import _signal

    _mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGINT,))  # a Ctrl-C is the application's, and waits
    _via = "preload" if _restore_variable(_here) else "path"
    _leave_path(_here)
    _path = sys.path[:]
    _start(_here, _via)
except BaseException:
    pass
if _path is not None:
    sys.path[:] = _path
if _mask is not None:
    _signal.pthread_sigmask(_signal.SIG_SETMASK, _mask)
_run_next(_ours)
