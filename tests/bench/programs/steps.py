# SPDX-License-Identifier: Apache-2.0
"""Child program: one step again and again, for counting its instructions.  steps.py STEP ROUNDS

The same code with and without pillion in the process; `span` and `span_with` need it. `yardstick` is plain Python, to
compare interpreters by.
"""

import contextlib
import gc
import os
import sys
from wsgiref.util import setup_testing_defaults

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "apps"))


def span():
    from pillion import _native

    begin = _native.begin

    def step():
        opened = begin("work")
        opened.set("bench.text", "a short text")
        opened.set("bench.number", 5)
        opened.set("bench.flag", True)
        opened.end()

    return step


def span_with():
    import pillion

    def step():
        with pillion.span("work", size=5):
            pass

    return step


def sqlite():
    import sqlite3

    execute = sqlite3.connect(":memory:").cursor().execute

    def step():
        execute("SELECT 1")

    return step


def yardstick():
    class Thing:
        def __init__(self, name):
            self.name = name

    def step():
        thing = Thing("text")
        return {"name": thing.name, "more": [str(number) for number in range(10)], "length": len(thing.name)}

    return step


def wsgi():
    def answer(environ, start_response):
        start_response("200 OK", [])
        return [b"ok"]

    if "pillion" in sys.modules:
        from pillion import wsgi

        answer = wsgi.wrap(answer)
    return requests_to(answer)


def asgi():
    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def send(message):
        pass

    if "pillion" in sys.modules:
        from pillion import asgi

        answer = asgi.wrap(answer)
    headers = [(b"host", b"shop:8080"), (b"user-agent", b"curl/8"), (b"accept", b"*/*")]
    scope = {"type": "http", "method": "GET", "scheme": "http", "http_version": "1.1", "path": "/products/7"}
    scope.update(query_string=b"", headers=headers, client=("10.0.0.9", 40000), server=("10.0.0.1", 8080))

    async def request():
        await answer(dict(scope), None, send)

    def step():
        running = request()
        try:
            running.send(None)
        except StopIteration:
            pass

    return step


def app_a():
    from app_a import app

    return requests_to(app)


def app_c():
    from app_c import app

    return requests_to(app)


def requests_to(app):
    environ = {"PATH_INFO": "/products/7", "HTTP_HOST": "shop:8080", "REMOTE_ADDR": "10.0.0.9", "REMOTE_PORT": "40000"}
    setup_testing_defaults(environ)

    def step():
        answer = app(dict(environ), lambda status, headers, error=None: None)
        for _ in answer:
            pass
        if hasattr(answer, "close"):
            answer.close()

    return step


def around():
    """A span that isn't sampled, where the sampler says so."""
    if "pillion" in sys.modules and os.environ.get("OTEL_TRACES_SAMPLER") == "always_off":
        from pillion import _native

        return _native.begin("root", 1)
    return contextlib.nullcontext()


def main():
    step, rounds = globals()[sys.argv[1]](), int(sys.argv[2])
    gc.disable()  # as many collections with pillion as without, but in other rounds
    if "pillion" in sys.modules:
        from pillion import _native

        _native.set_tick(None)  # what is measured once a second has no place in a count of instructions
    with around():
        for _ in range(rounds):
            step()


main()
