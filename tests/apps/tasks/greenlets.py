# SPDX-License-Identifier: Apache-2.0
"""gevent, patched early (before anything else is imported), late, or not at all with bare greenlets: switches in the
middle of spans, pools, queues, a server and its clients in one thread."""

from __future__ import annotations

import sys
import warnings

if sys.argv[1] == "early":
    from gevent import monkey

    monkey.patch_all()

import http.client
import queue
import sqlite3
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import urllib3
from opentelemetry import trace

if sys.argv[1] == "late":
    from gevent import monkey

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that this is late
        monkey.patch_all()

import gevent
import gevent.pool
import gevent.pywsgi
import greenlet

tracer = trace.get_tracer("greenlets")


def step(name: str) -> str:
    with tracer.start_as_current_span(name):
        gevent.sleep(0.01)
        with tracer.start_as_current_span(f"{name} inside"):
            gevent.sleep(0)
            sqlite3.connect(":memory:").execute("SELECT 1").fetchone()
    return name


def site(environ, start_response):
    gevent.sleep(0.02)
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]


def ask(pool: urllib3.PoolManager, port: int, number: int) -> tuple[str, str]:
    with tracer.start_as_current_span(f"ask {number}"):
        one = pool.request("GET", f"http://127.0.0.1:{port}/{number}").data.decode()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", f"/again/{number}")
        two = connection.getresponse().read().decode()
        connection.close()
        return one, two


def spawned() -> None:
    with tracer.start_as_current_span("spawner"):
        print(sorted(each.get() for each in [gevent.spawn(step, f"spawned {n}") for n in range(3)]))
        print(gevent.pool.Pool(2).map(step, [f"pooled {n}" for n in range(2)]))
    print(gevent.spawn(step, "alone").get())


def bare() -> None:
    """Two greenlets that switch to one another by hand, in the middle of their spans."""

    both: dict[str, greenlet.greenlet] = {}

    def body(name: str, other: str) -> None:
        with tracer.start_as_current_span(name):
            both[other].switch()
            with tracer.start_as_current_span(f"{name} inside"):
                pass

    both["one"] = greenlet.greenlet(lambda: body("one", "two"))
    both["two"] = greenlet.greenlet(lambda: body("two", "one"))
    with tracer.start_as_current_span("switching"):
        both["one"].switch()  # it starts two, which goes back to one, which ends
        with tracer.start_as_current_span("between"):
            both["two"].switch()
    print("dead", [each.dead for each in both.values()])


def threads() -> None:
    seen: queue.Queue[str] = queue.Queue()
    with tracer.start_as_current_span("threads"):
        thread = threading.Thread(target=lambda: seen.put(step("in a thread")))
        thread.start()
        thread.join()
        if sys.argv[1] != "late":
            with ThreadPoolExecutor(2) as pool:
                print(pool.submit(step, "in a pool").result())
    print(seen.get(), type(time.sleep).__name__)


def served() -> None:
    server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), site, log=None)
    server.start()
    pool = urllib3.PoolManager(maxsize=4)
    asked = [gevent.spawn(ask, pool, server.server_port, number) for number in range(4)]
    print([each.get() for each in asked])
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/plain") as answer:
        print(answer.read())
    pool.clear()
    server.stop()


spawned()
bare()
if sys.argv[1] != "bare":  # without the patches a client would block the server in its own thread
    threads()
    served()
