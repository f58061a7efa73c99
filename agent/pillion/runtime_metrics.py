# SPDX-License-Identifier: Apache-2.0
"""runtime_metrics: what only the inside of a process can tell, driven by what happens anyway.

Garbage collections report themselves (gc.callbacks, a C function). The lag of an event loop is measured at most once a
second, when a span begins in a running loop: how long does a callback wait that is due now? An idle process is never
woken, and asyncio is never imported by us.
"""

from __future__ import annotations

import gc
import sys
import time

from pillion import _native

_CLOCK = (time.perf_counter,)  # in a tuple: tools that freeze time replace what they find in modules


def install() -> None:
    """From now on collections and event loops are measured."""
    if _native.gc_callback not in gc.callbacks:
        gc.callbacks.append(_native.gc_callback)
    _native.set_tick(tick)


def remove() -> None:
    """Undoes `install`."""
    if _native.gc_callback in gc.callbacks:
        gc.callbacks.remove(_native.gc_callback)
    _native.set_tick(None)


def tick() -> None:
    """Called by the native side, on the thread that begins a span, at most once a second."""
    running = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    loop = running() if running is not None else None
    if loop is not None and not loop.is_closed():
        loop.call_soon(_measured, _CLOCK[0]())


def _measured(due: float) -> None:
    lag = _CLOCK[0]() - due
    if lag >= 0:
        _native.eventloop_lag(lag)
