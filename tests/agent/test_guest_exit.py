# SPDX-License-Identifier: Apache-2.0
"""How and when a program ends, and its first request, do not depend on any collector: absent, refusing or silent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.guest import same
from tests.support.traced import Traced, clean_environ

GENEROUS_S = 3.0  # what an exporter that waits or repeats takes is ten seconds and more
ENDS = {
    "the last line": "",
    "sys.exit": "sys.exit(7)",
    "sys.exit in a thread": "t = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join()",
    "os._exit": "sys.stdout.flush(); os._exit(9)",
    "an exception": "raise ValueError('on purpose')",
    "abort": "sys.stdout.flush(); os.abort()",
    "exec": "sys.stdout.flush(); os.execv(sys.executable, [sys.executable, '-c', 'print(6)'])",
    "SIGTERM": "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
    "SIGTERM with a handler": "signal.signal(15, lambda *_: sys.exit(3)); os.kill(os.getpid(), 15); time.sleep(60)",
    "SIGINT": "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)",
    "SIGALRM": "sys.stdout.flush(); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(60)",
    "a daemon thread": "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "atexit that records": "atexit.register(lambda: database.execute('SELECT 2').fetchall())",
    "atexit that raises": "atexit.register(int, 'x')",
}
PROGRAM = """
import atexit, os, signal, sqlite3, sys, threading, time
database = sqlite3.connect(":memory:")
for turn in range(50):
    database.execute("SELECT ?", (turn,)).fetchall()
print("recorded")
"""


@contextlib.contextmanager
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server


@pytest.fixture(params=["absent", "refusing", "silent socket", "silent port"])
def away(request: pytest.FixtureRequest, traced: Traced) -> Iterator[dict[str, str]]:
    """The settings of a program whose collector does not answer."""
    traced.sink.stop()
    kind = request.param
    path = traced.run_dir / "pillion.sock"
    path.unlink(missing_ok=True)
    defaults = {"PILLION_EXIT_TIMEOUT": "500"}
    if kind == "refusing":
        yield {**defaults, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    elif kind == "silent port":
        with silent() as server:
            yield {**defaults, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}"}
    elif kind == "silent socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen(50)
            yield defaults
    else:
        yield defaults


def test_every_way_to_end_is_the_same_and_takes_no_longer(traced: Traced, away: dict[str, str]) -> None:
    for name, end in ENDS.items():
        for _attempt in range(3):  # a busy machine may be slow, but not three times only when we are there
            began = time.monotonic()
            bare = traced.bare(PROGRAM + end + "\n")
            middle = time.monotonic()
            ours = traced.run(PROGRAM + end + "\n", **away)
            extra = time.monotonic() - middle - (middle - began)
            assert (ours.code, ours.out, ours.err) == (bare.code, bare.out, bare.err), name
            if extra < GENEROUS_S:
                break
        assert extra < GENEROUS_S, name


def test_the_first_request_and_the_thousandth_wait_for_nobody(traced: Traced, away: dict[str, str]) -> None:
    """No call of the program's own thread waits: it is put to sleep no more often than without us."""
    code = """
        import resource
        import flask, sqlite3
        app = flask.Flask("x")
        @app.get("/")
        def page():
            return str(sqlite3.connect(":memory:").execute("SELECT 1").fetchall())
        client = app.test_client()
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        for _ in range(1000):
            client.get("/")
        slept = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before
        print(slept < 100 or slept)
    """
    same(traced, code, **away)


@pytest.mark.parametrize("moment", ["before the first request", "while it is stopped"])
def test_a_server_that_is_told_to_stop_stops_as_without_us(traced: Traced, away: dict[str, str], moment: str) -> None:
    code = """
        import http.server, signal, sqlite3, sys, threading
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
                self.send_response(200)
                self.end_headers()
            def log_message(self, *ignored):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(server.server_port, flush=True)
        server.serve_forever()
        print("stopped")
    """
    app, seen, took = traced.write(code), [], []
    for environ in (clean_environ(), traced.environ(**away)):
        process = subprocess.Popen(
            [sys.executable, str(app)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        port = int(process.stdout.readline())
        if moment == "while it is stopped":
            with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
                link.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert link.recv(1000).startswith(b"HTTP/1.0 200")
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        took.append(time.monotonic() - began)
        seen.append((process.returncode, out, err))
    assert seen[1] == seen[0]
    assert took[1] < took[0] + GENEROUS_S
