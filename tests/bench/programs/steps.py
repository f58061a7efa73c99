# SPDX-License-Identifier: Apache-2.0
"""Child program: one step again and again, for counting its instructions.  steps.py STEP ROUNDS

The same code with and without pillion in the process; steps whose name begins with `span` need it.
"""

import contextlib
import os
import sys

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
    return lambda: execute("SELECT 1")


def wsgi():
    from wsgiref.util import setup_testing_defaults

    def answer(environ, start_response):
        start_response("200 OK", [])
        return [b"ok"]

    if "pillion" in sys.modules:
        from pillion import wsgi

        answer = wsgi.wrap(answer)
    return _requests(answer, setup_testing_defaults)


def app_a():
    from wsgiref.util import setup_testing_defaults

    from app_a import app

    return _requests(app, setup_testing_defaults)


def app_c():
    from wsgiref.util import setup_testing_defaults

    from app_c import app

    return _requests(app, setup_testing_defaults)


def _requests(app, defaults):
    environ = {"PATH_INFO": "/products/7", "HTTP_HOST": "shop:8080", "REMOTE_ADDR": "10.0.0.9", "REMOTE_PORT": "40000"}
    defaults(environ)

    def step():
        answer = app(dict(environ), lambda status, headers, error=None: None)
        for _ in answer:
            pass
        if hasattr(answer, "close"):
            answer.close()

    return step


def nothing():
    return lambda: None


def around():
    """A span that isn't sampled, where the sampler says so."""
    if "pillion" in sys.modules and os.environ.get("OTEL_TRACES_SAMPLER") == "always_off":
        from pillion import _native

        return _native.Span.__enter__(_native.begin("root", 2)) and contextlib.nullcontext()
    return contextlib.nullcontext()


def main():
    step, rounds = globals()[sys.argv[1]](), int(sys.argv[2])
    with around():
        for _ in range(rounds):
            step()


main()
