# SPDX-License-Identifier: Apache-2.0
"""Runs boot, and at each of its lines a fork in which that line raises: SystemExit and its like, and MemoryError.

Prints each line after which the program was not what it would have been, and how many were tried at the end.
All four kinds of exception are planted at each line of boot/, and in turn at those of the modules it starts.
"""

import atexit
import os
import runpy
import sqlite3
import sys
import types

AGENT = os.path.realpath(sys.argv[1])
BOOT = os.path.join(AGENT, "pillion", "boot", "sitecustomize.py")
KINDS = (SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError)
PATH = list(sys.path)
seen = set()
planted = None  # in a fork: where, and what


def plant(line):
    """In a fork for each kind: raises it. The program itself goes on when they have ended."""
    global planted
    for kind in KINDS if line[0] == BOOT else KINDS[len(seen) % 4 :][:1]:
        seen.add((*line, kind))
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            sys.settrace(None)
            planted = (*line, kind.__name__)
            raise kind("planted")
        if os.waitpid(pid, 0)[1] != 0:
            print("ended badly:", line, kind.__name__)


def trace(frame, event, arg):
    """Sees every line of ours until the application's own sitecustomize is looked for."""
    code = frame.f_code
    if not code.co_filename.startswith(AGENT):
        return None
    if code.co_filename == BOOT and code.co_name in ("<module>", "_run_next"):
        if code.co_name == "_run_next":
            sys.settrace(None)
        return None
    line = (code.co_filename, frame.f_lineno)
    if event == "line" and all((*line, kind) not in seen for kind in KINDS):
        plant(line)
    return trace


def application():
    """What runs afterwards: it must find its path as it was, use what has a hook, and end."""
    assert sys.path == PATH, sys.path
    assert sqlite3.connect(":memory:").execute("SELECT 5").fetchall() == [(5,)]
    atexit._run_exitfuncs()


def main():
    sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")  # as site.py does it
    sys.path.insert(0, os.path.dirname(BOOT))
    sys.settrace(trace)
    try:
        runpy.run_path(BOOT)
        application()
    except BaseException as error:
        print(planted, repr(error))
    if planted is not None:
        sys.stdout.flush()
        os._exit(0)
    print("tried", len(seen))


if __name__ == "__main__":
    main()
