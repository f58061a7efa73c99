# SPDX-License-Identifier: Apache-2.0
"""sys.settrace, sys.setprofile, sys.monitoring, a bdb debugger, pdb and cProfile over code that a library records."""

from __future__ import annotations

import bdb
import cProfile
import io
import os
import pdb
import pstats
import sqlite3
import sys
import threading

from census import census

database = sqlite3.connect(":memory:", check_same_thread=False)


def work(number: int) -> int:
    rows = database.execute("SELECT ? + 1", (number,)).fetchall()
    try:
        database.execute("SELECT * FROM nowhere")
    except sqlite3.OperationalError:
        pass
    return rows[0][0]


def told(events: list[str]):
    """A trace function that writes down all it hears."""

    def tell(frame, event, arg):
        if not event.startswith("c_"):
            events.append(f"{event} {os.path.basename(frame.f_code.co_filename)} {frame.f_lineno}")
        return tell

    return tell


class Stepper(bdb.Bdb):
    """Steps through everything."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def user_line(self, frame) -> None:
        self.lines.append(f"{os.path.basename(frame.f_code.co_filename)} {frame.f_lineno}")
        self.set_step()

    def user_exception(self, frame, info) -> None:
        self.lines.append(info[0].__name__)


def show(title: str, lines: list[str]) -> None:
    print(title, len(lines), *lines, sep="\n    ", flush=True)


for install, remove in ((sys.settrace, sys.settrace), (sys.setprofile, sys.setprofile)):
    events: list[str] = []
    install(told(events))
    work(1)
    remove(None)
    show(install.__name__, events)
threading.settrace(told(events := []))
thread = threading.Thread(target=work, args=(2,))
thread.start()
thread.join()
threading.settrace(None)
show("in a thread", [event for event in events if "tracers.py" in event or "pillion" in event])
lines: list[str] = []
Stepper(lines).runcall(work, 3)
show("bdb", [line for line in lines if "bdb" not in line])
profile = cProfile.Profile()
profile.runcall(work, 4)
text = io.StringIO()
pstats.Stats(profile, stream=text).strip_dirs().sort_stats("name").print_stats()
show(
    "cProfile",
    sorted(line.split()[-1] + " " + line.split()[0] for line in text.getvalue().splitlines() if ".py" in line),
)
if hasattr(sys, "monitoring"):
    events = []
    sys.monitoring.use_tool_id(3, "told")
    sys.monitoring.register_callback(
        3, sys.monitoring.events.PY_START, lambda code, offset: events.append(code.co_qualname)
    )
    sys.monitoring.set_events(3, sys.monitoring.events.PY_START)
    work(5)
    sys.monitoring.set_events(3, 0)
    sys.monitoring.free_tool_id(3)
    show("monitoring", events)
commands = io.StringIO("break work\ncontinue\nnext\nstep\nwhere\ncontinue\n")
pdb.Pdb(stdin=commands, stdout=sys.stdout, nosigint=True, readrc=False).runcall(work, 6)
database.close()
census("at the end")
