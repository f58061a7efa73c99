# SPDX-License-Identifier: Apache-2.0
"""Forks in all ways that a process has: from the main thread, from others, nested, by C code that tells nobody.

The children end by return, sys.exit, an exception, os._exit and a signal; the parent prints how each of them ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

from census import census
from opentelemetry import trace

tracer = trace.get_tracer("forks")


def child(way: str) -> None:
    """A child's work, and its end."""
    with tracer.start_as_current_span(f"child {way}"):
        census(f"in child {way}", at_rest=1)
    if way == "exit":
        sys.exit(3)
    if way == "_exit":
        os._exit(4)
    if way == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    if way == "nested":
        ended(os.fork() or child("grandchild"))


def ended(pid: int | None) -> None:
    """Waits for a child; in a child that came back from its work: the end."""
    if pid is None:
        sys.stdout.flush()
        os._exit(0)
    print("ended:", os.waitpid(pid, 0)[1], flush=True)


def fork(way: str, forker=os.fork) -> None:
    with tracer.start_as_current_span(f"parent {way}"):
        pid = forker()
        if pid == 0:
            try:
                child(way)
            except SystemExit as end:
                sys.stdout.flush()
                os._exit(end.code)
            ended(None)
        ended(pid)


fork("first")  # before this process has a span of its own
for way in ("exit", "_exit", "signal", "nested"):
    fork(way)
fork("by C", ctypes.CDLL(None).fork)
thread = threading.Thread(target=fork, args=("in a thread",))
thread.start()
thread.join()
census("at the end")
if os.fork() == 0:  # a child that is never waited for, and unwinds as a program does
    with tracer.start_as_current_span("orphan"):
        pass
    sys.exit(0)
os.wait()
sys.exit(7)
