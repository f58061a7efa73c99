# SPDX-License-Identifier: Apache-2.0
"""A parent that records something, forks at once, and has nothing to do any more until somebody writes to it.

`thread`: another thread forks, while the main one waits. Then frames of the main one may lie where the other's lay:
`work` is on both stacks, and `wait`, which is larger, on top of it.
"""

from __future__ import annotations

import _thread
import logging  # it has fork handlers of its own, in Python
import os
import sys

from opentelemetry import trace

logging.getLogger()


def work(what: str) -> None:
    if what == "fork":
        trace.get_tracer("idle").start_span("before the fork").end()
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        forked.release()
    elif what == "thread":
        wait()
    else:
        work("fork")
        forked.acquire()
        print(sys.stdin.readline())


def wait(*larger: int, a: int = 1, b: int = 2, c: int = 3, d: int = 4, e: int = 5, f: int = 6) -> None:
    _thread.start_new_thread(work, ("fork",))
    forked.acquire()
    print(sys.stdin.readline())


forked = _thread.allocate_lock()
forked.acquire()
work(sys.argv[1])
