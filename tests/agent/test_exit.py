# SPDX-License-Identifier: Apache-2.0
"""How a process ends: whatever becomes of it, what it recorded is found; and an exit waits for nobody."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest

from tests.support.sink import Sink
from tests.support.traced import Traced

TEN = """
import pillion, sys, os, signal, threading, time
for number in range(10):
    with pillion.span(f"n{number}"):
        pass
"""
NAMES = {f"n{number}" for number in range(10)}

ENDINGS = {
    "return": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception": ("raise LookupError", 1),
    "os._exit": ("os._exit(4)", 4),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "SIGSEGV": ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
    "abort": ("os.abort()", -signal.SIGABRT),
    "exec": ("os.execv('/bin/true', ['true'])", 0),
    "thread that lives on": ("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", 0),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_every_span_is_found_once_however_the_process_ends(traced: Traced, how: str) -> None:
    code, expected = ENDINGS[how]
    result = traced.run(TEN + code)
    assert result.code == expected == traced.bare(code.join(("import os, sys, signal, threading, time\n", ""))).code
    assert sorted(span.name for span in traced.sink.spans) == sorted(NAMES)
    assert list((traced.run_dir / "rings").iterdir()) == []


@pytest.mark.parametrize("how", ["return", "SIGKILL"])
def test_a_ring_says_whether_its_process_ended_in_order(traced: Traced, how: str) -> None:
    traced.run(TEN + ENDINGS[how][0])
    (ring,) = traced.sink.adopted
    assert ring.ended == (how == "return") and ring.counters["recorded"] == 10
    assert ring.skipped == ring.refused == 0 and ring.flights == []


def test_the_last_metrics_are_left_in_the_ring(traced: Traced) -> None:
    traced.run("import gc\n" + TEN + "gc.collect()", OTEL_METRIC_EXPORT_INTERVAL="3600000")
    names = {metric.name for request in traced.sink.metrics for metric in _metrics(request)}
    assert "cpython.gc.collections" in names


def _metrics(request):
    return [m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics]


def test_no_collector_and_no_spans_leave_no_ring(traced: Traced, sink: Sink) -> None:
    sink.stop()
    traced.run("import gc; gc.collect()")
    assert list((traced.run_dir / "rings").iterdir()) == []


def test_exit_waits_for_no_collector_that_hangs(traced: Traced, sink: Sink) -> None:
    """It would wait for the 30 s that PILLION_EXIT_TIMEOUT allows if it waited at all."""
    sink.stop()
    path = traced.run_dir / "pillion.sock"
    with socket.socket(socket.AF_UNIX) as hung:
        path.unlink(missing_ok=True)
        hung.bind(str(path))
        hung.listen(16)
        began = time.monotonic()
        assert traced.run(TEN + "time.sleep(0.3)").code == 0  # by then the thread has a call under way
        assert time.monotonic() - began < 25
    assert {span.name for span in sink.spans} == NAMES


def test_another_receiver_gets_its_spans_before_the_exit(traced: Traced, sink: Sink) -> None:
    """Nobody reads the rings there: the exit flushes, and the ring is gone."""
    traced.run(TEN, PILLION_SOCKET=str(_elsewhere(traced)))
    assert {span.name for span in sink.spans} == NAMES and sink.adopted == []
    assert list((traced.run_dir / "rings").iterdir()) == []


def _elsewhere(traced: Traced) -> Path:
    link = traced.folder / "other.sock"
    link.symlink_to(traced.run_dir / "pillion.sock")
    return link


def test_a_killed_process_tells_what_it_was_serving(traced: Traced, sink: Sink) -> None:
    code = """
        import os, signal
        from wsgiref.util import setup_testing_defaults
        from pillion.wsgi import wrap
        def app(environ, start):
            if environ["PATH_INFO"] == "/die":
                os.kill(os.getpid(), signal.SIGKILL)
            start("200 OK", [])
            return [b"fine"]
        def call(path):
            environ = {"PATH_INFO": path, "HTTP_TRACEPARENT": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
            setup_testing_defaults(environ)
            list(wrap(app)(environ, lambda *_: None))
        call("/fine")
        call("/die")
    """
    assert traced.run(code).code == -signal.SIGKILL
    (ring,) = sink.adopted
    (flight,) = ring.flights
    assert (flight.trace_id, flight.parent_id, flight.kind) == ("a" * 32, "b" * 16, 2)
    assert flight.detail == "GET /die" and flight.name and flight.start_ns
    assert [span.attributes["url.path"] for span in sink.spans] == ["/fine"]
    assert ring.counters["recorded"] == 1


def test_rings_are_private_when_the_folder_is_full_and_the_app_goes_on(traced: Traced, sink: Sink) -> None:
    traced.run(TEN)
    (traced.run_dir / "rings" / "1-1.ring").write_bytes(bytes(2 << 20))
    code = "import pillion._native as n\n" + TEN + "print(n.stats()['shared'])"
    assert traced.run(code, PILLION_RINGS_BYTES="1M").out == "False\n"
    assert len(sink.spans) == 20  # a private ring is flushed at the exit: nobody could read it afterwards
