# SPDX-License-Identifier: Apache-2.0
"""Signals: handlers that record, raise, fork; alarms in the middle of queries; masks, wakeup descriptors, faulthandler.

It prints what the process would do with each signal, before and after, and how its children died of some.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sqlite3
import tempfile
import threading
import time

from census import census
from opentelemetry import trace

tracer = trace.get_tracer("signals")
caught = 0


def dispositions() -> list[str]:
    """The signals that this process blocks, ignores and catches, but for two that the C library keeps for threads."""
    with open("/proc/self/status") as status:
        lines = [line.split() for line in status if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
    return [f"{name} {int(mask, 16) & ~(3 << 31):x}" for name, mask in lines]


def handler(number: int, frame: object) -> None:
    global caught
    caught += 1
    with tracer.start_as_current_span("handler"):
        database.execute("SELECT 'in the handler'").fetchone()


class Stop(Exception):
    pass


def raising(number: int, frame: object) -> None:
    raise Stop


def alarmed() -> None:
    """Queries under a timer, until so many signals came."""
    signal.signal(signal.SIGALRM, handler)
    with tracer.start_as_current_span("alarmed"):
        for _ in range(20):
            before = caught
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            while caught == before:
                database.execute("SELECT sum(number) FROM numbers").fetchone()
    print("caught", caught)


def stopped() -> None:
    signal.signal(signal.SIGALRM, raising)
    for _ in range(20):
        try:
            with tracer.start_as_current_span("stopped"):
                signal.setitimer(signal.ITIMER_REAL, 0.001)
                while True:
                    database.execute("SELECT sum(number) FROM numbers").fetchone()
        except Stop:
            pass
    print("stopped", trace.get_current_span() is trace.INVALID_SPAN)


def dies_of(number: int, with_fault_handler: bool) -> None:
    with tempfile.TemporaryFile("w+") as report:
        pid = os.fork()
        if pid == 0:
            signal.signal(number, signal.SIG_DFL)
            if with_fault_handler:
                faulthandler.enable(file=report)
            with tracer.start_as_current_span(f"dies of {number}"):
                database.execute("SELECT 1").fetchone()
            os.kill(os.getpid(), number)
            time.sleep(60)
        print(signal.Signals(number).name, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        report.seek(0)  # it also names the extension modules that are loaded: whoever crashes may want to know
        print([line for line in report if line.startswith(("Fatal", "  File"))], flush=True)


database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE numbers (number)")
database.executemany("INSERT INTO numbers VALUES (?)", ((number,) for number in range(30000)))
print([str(signal.getsignal(each)) for each in sorted(signal.valid_signals())], dispositions())
alarmed()
stopped()
for fatal in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT):
    dies_of(fatal, fatal in (signal.SIGSEGV, signal.SIGABRT))
faulthandler.dump_traceback_later(60, exit=True)
with tracer.start_as_current_span("dumped"):
    faulthandler.dump_traceback(all_threads=True)
faulthandler.cancel_dump_traceback_later()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.kill(os.getpid(), signal.SIGUSR1)
thread = threading.Thread(target=lambda: print("waited for", signal.sigwait({signal.SIGUSR1})))
thread.start()
thread.join()
print(dispositions())
census("at the end")
atexit.register(database.close)
signal.signal(signal.SIGINT, signal.default_int_handler)
with tracer.start_as_current_span("interrupted"):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
