# SPDX-License-Identifier: Apache-2.0
"""The hook of threading: the functions given to threads stay what they were. What runs where: tests/agent/tasks."""

from __future__ import annotations

CODE = """
import concurrent.futures, inspect, pickle, threading
from concurrent.futures import thread
seen = []
class Pool(concurrent.futures.ThreadPoolExecutor):
    pass
class Thread(threading.Thread):
    pass
print(inspect.signature(Pool.submit), Pool.submit.__qualname__, Pool.submit.__module__)
print(type(threading.Thread.start), type(threading.Thread.run))
with Pool(1) as pool:
    for call in ((), (5,), (print,)):
        try:
            print(pool.submit(*call).result())
        except TypeError as error:
            print(error)
    try:
        pool.submit(fn=print)
    except TypeError as error:
        print(error)
    pool.shutdown()
    try:
        pool.submit(print)
    except RuntimeError as error:
        print(error)
"""


def test_signatures_and_errors_stay(receiver, tmp_path):
    program = tmp_path / "pool.py"
    program.write_text(CODE)
    traced, bare = receiver.run(str(program)), receiver.bare(str(program))
    assert (traced.code, traced.out, traced.err, traced.log) == (bare.code, bare.out, bare.err, "")
    assert traced.code == 0
    assert traced.spans == []


def test_the_hook_can_be_switched_off(receiver, tmp_path):
    program = tmp_path / "off.py"
    program.write_text(
        "import threading\nfrom opentelemetry import trace\n"
        "tracer = trace.get_tracer('off')\n"
        "with tracer.start_as_current_span('outer'):\n"
        "    thread = threading.Thread(target=lambda: tracer.start_span('inner').end())\n"
        "    thread.start()\n    thread.join()\n"
    )
    run = receiver.run(str(program), OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="threading")
    assert (run.code, run.err) == (0, "")
    assert {span.name: bool(span.parent_id) for span in run.spans} == {"outer": False, "inner": False}


KEPT = """
import contextvars, sys
from concurrent.futures import ThreadPoolExecutor
from pillion import _native
def request():
    with _native.begin("outer") as outer:
        outer.baggage = text
        print(pool.submit(lambda: _native.current().baggage is text).result())
pool, text = ThreadPoolExecutor(1), "-".join(["who=me"])
before = sys.getrefcount(text)
contextvars.Context().run(request)
pool.submit(print).result()  # the thread is done with what was before
print(sys.getrefcount(text) - before)
"""


def test_a_pools_thread_keeps_nothing_of_what_it_ran(receiver, tmp_path):
    program = tmp_path / "kept.py"
    program.write_text(KEPT)
    run = receiver.run(str(program))
    assert (run.code, run.out, run.err) == (0, "True\n\n0\n", "")
