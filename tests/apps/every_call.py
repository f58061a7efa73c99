# SPDX-License-Identifier: Apache-2.0
"""every_call: goes once over everything that the native module does in a process; for memcheck, so in few rounds."""

import asyncio
import os
import sqlite3
import threading
from wsgiref.util import setup_testing_defaults

import pillion
from pillion import _native, asgi, wsgi


class Strange:
    def __str__(self):
        raise RuntimeError("no text")


def spans():
    values = (None, True, 7, 2**70, 1.5, float("nan"), "é", "\ud800", b"\0", [1, "two"], ("a",), {"k": 1}, Strange())
    for turn in range(30):
        with pillion.span("outer", turn=turn) as outer:
            for number, value in enumerate(values):
                outer.set(f"value {number}", value)
            outer.event("event", {"n": turn})
            outer.link("1" * 32, "2" * 16, {"a": 1}, 1, "k=v")
            with pillion.span("inner" * turn):
                pillion.set_attribute("k", "v" * 1000 * turn)
            outer.status(2, "bad")
            outer.name(f"named {turn}")
        try:
            with pillion.span("failing"):
                raise KeyError(turn)
        except KeyError:
            pass
    for number in range(200):
        _native.begin("many", 1).set(f"key {number}", number)  # more keys than a span takes, never ended


@pillion.span("decorated")
def decorated():
    return 1


async def tasks():
    @pillion.span("coroutine")
    async def one():
        await asyncio.sleep(0)

    async with _native.span("around"):
        await asyncio.gather(*(one() for _ in range(10)))


def application(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    yield b"one"
    yield b"two"


def requests():
    wrapped = wsgi.wrap(application)
    for path in ("/", "/x" * 500):
        environ = {"HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01", "HTTP_TRACESTATE": "k=v", "PATH_INFO": path}
        setup_testing_defaults(environ)
        body = wrapped(environ, lambda status, headers, error=None: None)
        list(body)
        body.close()
    wrapped(dict(environ), lambda status, headers, error=None: None)  # never read


async def asgi_application(scope, receive, send):
    await send({"type": "http.response.start", "status": scope["status"]})
    await asyncio.sleep(0)
    if scope["status"] == 503:
        raise KeyError("refused")
    await send({"type": "http.response.body", "body": b"ok"})


async def asgi_requests():
    async def send(message):
        await asyncio.sleep(0)

    wrapped = asgi.wrap(asgi_application)
    headers = [(b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"), (b"baggage", b"k=v")] * 2
    scope = {"type": "http", "method": "GET", "path": "/x" * 500, "headers": headers, "client": ("h", 1)}
    for status in (200, 503):
        await asyncio.gather(
            *(wrapped({**scope, "status": status}, None, send) for _ in range(5)), return_exceptions=True
        )
    task = asyncio.ensure_future(wrapped({**scope, "status": 200}, None, send))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    begun = wrapped({**scope, "status": 200}, None, send)
    begun.send(None)  # and never finished


def main():
    spans()
    assert decorated() == 1
    asyncio.run(tasks())
    asyncio.run(asgi_requests())
    requests()
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t (a, b)")
    database.executemany("INSERT INTO t VALUES (?, 'secret')", [(1,), (2,)])
    database.execute("SELECT a FROM t WHERE b = 'secret' AND a IN (1, 2, 3)").fetchall()
    threads = [threading.Thread(target=spans) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _native.inject()
    _native.extract({"traceparent": "garbage", "baggage": "a=b,c=d"})
    _native.stats()
    if os.fork() == 0:
        decorated()
        os._exit(0)
    os.wait()
    _native.flush(5)


main()
