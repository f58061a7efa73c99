# SPDX-License-Identifier: Apache-2.0
"""A guest inside a running program: signals, threads, processes, random numbers, references and files stay its own."""

from __future__ import annotations

from collections import Counter

from tests.support.guest import same, was_traced
from tests.support.traced import Traced

SPANS = """
import sqlite3, pillion
def record(number=20):
    database = sqlite3.connect(":memory:")
    for turn in range(number):
        with pillion.span("step", turn=turn):
            database.execute("SELECT ?", (turn,)).fetchall()
    database.close()
"""

REFERENCES = """
import gc, sys, weakref
import flask, jinja2, requests, sqlalchemy, sqlite3, urllib3, http.client, logging
gc.collect(); gc.disable()
alive = {}
def watch(name, value):
    alive[name] = weakref.ref(value)
    print(name, sys.getrefcount(value))
    return value
app = flask.Flask("shop")
class Payload:
    pass
@app.get("/<name>")
def page(name):
    request = flask.request._get_current_object()
    watch("request", request)
    flask.g.payload = watch("payload", Payload())
    response = watch("response", flask.make_response(jinja2.Template("hello {{ name }}").render(name=name)))
    return response
print(app.test_client().get("/you", headers={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}).text)
@app.errorhandler(ValueError)
def failed(error):
    watch("error", error)
    return "no", 500
@app.get("/fails")
def fails():
    raise ValueError("on purpose")
print(app.test_client().get("/fails").status)
class Connection(sqlite3.Connection):
    pass
connection = watch("connection", sqlite3.connect(":memory:", factory=Connection))
cursor = watch("cursor", connection.cursor())
argument = watch("argument", type("Text", (str,), {})("x"))
cursor.execute("SELECT ?", (str(argument),))
cursor.close(); connection.close()
del cursor, connection, argument
client = watch("http", http.client.HTTPConnection("127.0.0.1", 1))
try:
    client.request("GET", "/")
except OSError as error:
    watch("refused", error)
client.close()
del client
session = watch("session", requests.Session())
try:
    session.get("http://127.0.0.1:1/")
except requests.ConnectionError as error:
    watch("connection error", error)
session.close()
del session
engine = sqlalchemy.create_engine("sqlite://")
with engine.connect() as opened:
    result = watch("result", opened.execute(sqlalchemy.text("SELECT 5")))
    print(result.scalar())
del opened, result
record = watch("record", logging.getLogger("x").makeRecord("x", 20, "f", 1, "m", (), None))
del record
print({name: reference() is not None for name, reference in alive.items()})
print(sys.getrefcount(flask.Flask.wsgi_app) < 20, gc.garbage)
"""


def test_signal_handlers_masks_and_what_the_kernel_knows_of_them_are_untouched(traced: Traced) -> None:
    code = """
        import faulthandler, signal, sqlite3, threading
        thread = threading.Thread(target=print)  # with the first thread glibc takes a signal that has no name
        thread.start()
        thread.join()
        def state():
            status = open("/proc/self/status").read().splitlines()
            print([line for line in status if line.startswith(("Sig", "Shd"))])
            for number in sorted(signal.valid_signals()):
                print(number, signal.getsignal(number))
            print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.getitimer(signal.ITIMER_REAL))
        state()
        sqlite3.connect(":memory:").execute("SELECT 1")
        state()
        faulthandler.enable()
        state()
    """
    same(traced, code)
    was_traced(traced, lambda: bool(traced.sink.named("SELECT")))


def test_no_thread_process_or_descriptor_is_added_at_rest(traced: Traced) -> None:
    """While spans are sent there are one thread and one socket; afterwards, and in a program without spans, none."""
    code = SPANS.join(
        [
            """
import os, sys, time, warnings
def tree():
    tasks = os.listdir("/proc/self/task")
    children = [open(f"/proc/self/task/{task}/children").read() for task in tasks]
    return len(tasks), children, sorted(os.listdir("/proc/self/fd"))
print(tree())
""",
            """
rest = tree()
record()
deadline = time.monotonic() + 30
while tree() != rest and time.monotonic() < deadline:
    time.sleep(0.05)
print(tree(), tree() == rest)
import threading, multiprocessing
print(len(threading.enumerate()), multiprocessing.active_children())
""",
        ]
    )
    same(traced, code)
    was_traced(traced, lambda: len(traced.sink.named("step")) == 20)


def test_a_seeded_program_draws_the_same_random_numbers(traced: Traced) -> None:
    code = (
        SPANS
        + """
import random
random.seed(1)
first = [random.random() for _ in range(5)]
record()
state = random.getstate()
record()
assert state == random.getstate()
print(first, [random.random() for _ in range(5)])
"""
    )
    same(traced, code)
    was_traced(traced, lambda: len(traced.sink.named("step")) == 40)


def test_objects_are_freed_with_their_last_reference_as_without(traced: Traced) -> None:
    """With the collector of cycles off: what a hook kept, or tied into a cycle, would be seen."""
    same(traced, REFERENCES)
    was_traced(traced, lambda: bool(traced.sink.named("GET /<name>")))


def test_no_file_name_or_address_is_looked_up_on_the_event_loop(traced: Traced) -> None:
    """Every audited call of Python while a loop runs, from hooks and spans: open, listdir, connect, resolve, import."""
    code = """
        import asyncio, sqlite3, sys, flask, jinja2, logging, http.client, time
        client = flask.Flask("x").test_client()
        template = jinja2.Template("hello {{ name }}")
        import pillion
        seen = []
        def hook(event, arguments):
            if asyncio._get_running_loop() is not None and event.partition(".")[0] in WATCHED:
                seen.append((event, [str(each)[:60] for each in arguments[:2]]))
        WATCHED = {"open", "os", "socket", "import", "subprocess", "shutil", "glob", "time", "ctypes", "mmap", "fcntl"}
        sys.addaudithook(hook)
        async def work(number):
            async with pillion.span("work", number=number):
                await asyncio.sleep(0)
                database.execute("SELECT ?", (number,)).fetchall()
                template.render(name=number)
                client.get("/")
                logging.getLogger("x").info("quiet")
        async def main():
            await asyncio.gather(*(work(number) for number in range(20)))
            await asyncio.sleep(1.2)  # the lag of the loop is measured once a second
            await work(21)
        database = sqlite3.connect(":memory:")
        asyncio.run(main(), debug=False)
        print("\\n".join(map(str, seen)))
    """
    bare, ours = Counter(traced.bare(code).out.splitlines()), Counter(traced.run(code).out.splitlines())
    assert len(bare) > 1, "the bare program itself imports something late"
    assert not ours - bare
    was_traced(traced, lambda: len(traced.sink.named("work")) == 21)


def test_a_request_that_never_leaves_the_process_carries_nothing_of_ours(traced: Traced) -> None:
    """Context is written where bytes leave: a transport in memory, and a test client, see what they always saw."""
    code = """
        import io, flask, requests, urllib3, urllib.request
        class Memory(requests.adapters.BaseAdapter):
            def send(self, request, **options):
                print(sorted(request.headers.items()), sorted(options))
                answer = requests.Response()
                answer.status_code, answer.raw, answer.request = 200, io.BytesIO(b"ok"), request
                answer.url = request.url
                return answer
            def close(self):
                pass
        session = requests.Session()
        session.mount("mem://", Memory())
        app = flask.Flask("x")
        @app.get("/")
        def page():
            session.get("mem://there/", headers={"X-Mine": "1"})
            return sorted(str(key) for key in flask.request.environ)
        print(app.test_client().get("/").text)
        class Handler(urllib.request.BaseHandler):
            def mem_open(self, request):
                print(request.header_items())
                return io.BytesIO(b"ok")
        print(urllib.request.build_opener(Handler).open("mem://x").read())
    """
    same(traced, code)
    was_traced(traced, lambda: bool(traced.sink.named("GET /")))


def test_an_idle_process_is_never_woken_by_us(traced: Traced) -> None:
    """After its spans are sent a sleeping program makes no context switch of its own, on any thread, for 3 s."""
    code = (
        SPANS
        + """
import os, time
record()
def switches():
    total = 0
    for task in os.listdir("/proc/self/task"):
        for line in open(f"/proc/self/task/{task}/status"):
            if line.startswith("voluntary_ctxt"):
                total += int(line.split()[1])
    return total, len(os.listdir("/proc/self/task"))
deadline = time.monotonic() + 30
while switches()[1] > 1 and time.monotonic() < deadline:
    time.sleep(0.1)
before = switches()
time.sleep(3)
after = switches()
print(after[0] - before[0], before[1], after[1])
"""
    )
    ended = traced.run(code)
    assert (ended.out, ended.err) == ("1 1 1\n", "")
    was_traced(traced)


def test_what_another_thread_raises_in_this_one_arrives_here_though_it_came_within_a_hook(traced: Traced) -> None:
    ran = traced.run(
        """
        import ctypes, threading, pillion
        class Limit(BaseException): pass
        class Value:
            def __str__(self):
                thread = ctypes.c_ulong(threading.get_ident())
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(Limit))
                while True:
                    pass
        def work():
            try:
                with pillion.span("limited", value=Value()):
                    while True:
                        pass
            except Limit:
                print("limited")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        print("main goes on")
        """
    )
    assert (ran.code, ran.out, ran.err) == (0, "limited\nmain goes on\n", "")
