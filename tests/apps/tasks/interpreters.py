# SPDX-License-Identifier: Apache-2.0
"""Sub-interpreters that use the libraries which are recorded in the main one, in this thread and in others."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading

from census import census

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

CODE = """
import contextlib, logging, sqlite3, sys, threading
with contextlib.closing(sqlite3.connect(":memory:")) as database:
    print(database.execute("SELECT 6 * 7").fetchone(), logging.getLogger("here").makeRecord.__name__, flush=True)
"""


def create(kind: str):
    if sys.version_info >= (3, 13):
        return interpreters.create(kind)
    if sys.version_info >= (3, 9):  # noqa: UP036
        return interpreters.create(isolated=kind == "isolated")
    return interpreters.create()  # there is one kind


def run() -> None:
    """The old kind, which shares the GIL, and from 3.12 on the isolated kind with a GIL of its own."""
    for kind in ("isolated", "legacy"):
        number = create(kind)
        trouble = interpreters.run_string(number, CODE)
        interpreters.destroy(number)
        print(kind, trouble)


def query(name: str) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        print(name, database.execute(f"SELECT * FROM (SELECT 1) AS {name}").fetchone())


query("before")
run()
query("during")
thread = threading.Thread(target=run)
thread.start()
thread.join()
query("after")
census("at the end")
