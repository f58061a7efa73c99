# SPDX-License-Identifier: Apache-2.0
"""wsgi: one SERVER span a request of any WSGI callable, under real servers; what isn't WSGI is left as it is."""

from __future__ import annotations

import functools
import re
import signal
import socket
import subprocess
import sys

import pytest
import wsgi_plain
from pillion._native import Call, Wrapper
from pillion.hooks import wsgi as hook


def ask(port, path):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\nHost: h\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return answer.split(" ", 2)[1], answer.partition("\r\n\r\n")[2]


@pytest.fixture
def gunicorn(receiver):
    """Starts gunicorn under pillion, asks it for the paths, stops it, and gives answers and spans."""

    def run(*paths, arguments=()):
        command = [sys.executable, "-m", "pillion", "run", "--", sys.executable, "-m", "gunicorn"]
        # A worker that is told to end while it boots doesn't hear it (also without us); the master kills it after 3 s.
        command += ["-b", "127.0.0.1:0", "--no-control-socket", "--graceful-timeout", "3"]
        command += [*arguments, "wsgi_plain:application"]
        server = subprocess.Popen(command, env=receiver.environment(), stderr=subprocess.PIPE, text=True)
        try:
            for line in server.stderr:
                found = re.search(r"Listening at: http://127.0.0.1:(\d+)", line)
                if found:
                    break
            else:
                pytest.fail("gunicorn didn't start")
            answers = [ask(int(found[1]), path) for path in paths]
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        assert server.returncode == 0
        assert receiver.log() == ""
        return answers, receiver.take()

    return run


def test_gunicorn_makes_one_span_a_request_of_every_shape(gunicorn):
    answers, spans = gunicorn("/list", "/generator", "/write", "/class", "/crash")
    assert answers[:4] == [("200", "list"), ("200", "ab"), ("200", "written and returned"), ("404", "class")]
    assert answers[4][0] == "500"
    assert [
        (s.name, s.kind, s.attributes["url.path"], s.attributes.get("http.response.status_code")) for s in spans
    ] == [
        ("GET", "SERVER", "/list", 200),
        ("GET", "SERVER", "/generator", 200),
        ("GET", "SERVER", "/write", 200),
        ("GET", "SERVER", "/class", 404),
        ("GET", "SERVER", "/crash", None),
    ]
    assert (spans[4].status, spans[4].attributes["error.type"]) == ("error", "LookupError")
    assert {s.scope for s in spans} == {"pillion.wsgi"}


def test_gunicorn_that_loads_the_application_before_the_fork_traces_its_workers(gunicorn):
    answers, spans = gunicorn("/list", "/list", arguments=("--preload", "-w", "2", "--threads", "2"))
    assert [code for code, _ in answers] == ["200", "200"]
    assert len(spans) == 2


def test_wsgiref_makes_one_span_a_request(traced):
    run = traced("flask_shop.py", "wsgiref", "/items/1", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="flask")
    assert [(span.name, span.scope) for span in run.spans] == [("GET", "pillion.wsgi")]


class Asynchronous:
    async def __call__(self, scope, receive, send):
        pass


class Synchronous:
    def __call__(self, environ, start_response):
        return []


@pytest.mark.parametrize(
    "app", [wsgi_plain.asgi, Asynchronous(), Asynchronous().__call__, functools.partial(wsgi_plain.asgi)]
)
def test_asynchronous_application_is_left_as_it_is(app):
    assert hook.served(Call(None), app) is app


@pytest.mark.parametrize(
    "app", [wsgi_plain.application, wsgi_plain.Pages, Synchronous(), functools.partial(wsgi_plain.application), len]
)
def test_application_of_any_other_kind_is_wrapped_once(app):
    wrapped = hook.served(Call(None), app)
    assert isinstance(wrapped, Wrapper)
    assert hook.served(Call(None), wrapped) is wrapped


def test_werkzeug_server_has_its_application_wrapped(traced):
    run = traced("flask_shop.py", "werkzeug", "/items/1", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="flask")
    assert [(span.name, span.scope) for span in run.spans] == [("GET", "pillion.wsgi")]
