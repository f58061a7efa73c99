# SPDX-License-Identifier: Apache-2.0
"""runtime_metrics: collections, threads and event-loop lag of real processes, as they arrive at a collector."""

from __future__ import annotations

import gc
from typing import Any

from pillion import _native, runtime_metrics

from tests.support.sink import plain
from tests.support.traced import Traced


def points(traced: Traced, name: str) -> list[Any]:
    """The newest points of a metric."""
    for request in reversed(traced.sink.metrics):
        for group in request.resource_metrics:
            for scoped in group.scope_metrics:
                for metric in scoped.metrics:
                    if metric.name == name:
                        return list(getattr(metric, str(metric.WhichOneof("data"))).data_points)
    return []


def test_collections_and_threads_are_counted(traced: Traced) -> None:
    result = traced.run(
        """
        import gc, threading
        import pillion
        gc.disable()
        done = threading.Event()
        waiting = [threading.Thread(target=done.wait) for _ in range(3)]
        for thread in waiting:
            thread.start()
        for _ in range(5):
            cycle = []
            cycle.append(cycle)
            del cycle
            gc.collect()
        gc.collect(0)
        with pillion.span("s"):
            pass
        pillion.flush()
        done.set()
        """,
        OTEL_METRIC_EXPORT_INTERVAL="100",
    )
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: bool(points(traced, "cpython.gc.collections")))
    counts = {plain(p.attributes[0].value): p.as_int for p in points(traced, "cpython.gc.collections")}
    assert counts[2] >= 5 and counts[0] >= 1
    collected = {plain(p.attributes[0].value): p.as_int for p in points(traced, "cpython.gc.collected_objects")}
    assert collected[2] >= 5
    (pause,) = [p for p in points(traced, "pillion.gc.pause") if plain(p.attributes[0].value) == 2]
    assert pause.count == counts[2] and 0 < pause.sum < 60
    (threads,) = points(traced, "pillion.thread.count")
    assert threads.as_int >= 4


LOOP = """
import asyncio, time
import pillion
async def main():
    with pillion.span("warm"):  # may be the first of this second or not
        pass
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        before = time.time()
        with pillion.span("blocks"):
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                pass
        await asyncio.sleep(0)
        if int(time.time()) > start + 1:
            break
start = int(time.time())
asyncio.run(main())
pillion.flush()
"""


def test_lag_of_an_event_loop_is_how_long_a_due_callback_waits(traced: Traced) -> None:
    result = traced.run(LOOP, OTEL_METRIC_EXPORT_INTERVAL="100")
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: bool(points(traced, "pillion.eventloop.lag")))
    (lag,) = points(traced, "pillion.eventloop.lag")
    assert 1 <= lag.count <= 5  # at most one a second
    assert 0.05 <= lag.sum < 60  # the callback waited for the span that blocks


def test_synchronous_program_never_loads_asyncio(traced: Traced) -> None:
    result = traced.run("""
        import sys
        import pillion
        with pillion.span("s"):
            pass
        print("asyncio" in sys.modules, "threading" in sys.modules)
    """)
    assert result.out == "False False\n"


def test_install_is_undone_by_remove() -> None:
    before = list(gc.callbacks)
    runtime_metrics.install()
    runtime_metrics.install()
    assert gc.callbacks.count(_native.gc_callback) == 1
    runtime_metrics.remove()
    assert [each for each in gc.callbacks if each is not _native.gc_callback] == before


def test_tick_outside_of_a_loop_does_nothing() -> None:
    runtime_metrics.tick()
