# SPDX-License-Identifier: Apache-2.0
"""What a program says is its own, to the byte; and its mocks of time, files and sockets don't meet us."""

from __future__ import annotations

import time

import pytest

from tests.support.guest import same, was_traced
from tests.support.traced import Traced

PROGRAM = """
import contextlib, logging, sqlite3, sys, threading, traceback, urllib.request, warnings
class Everything(logging.Handler):
    def emit(self, record):
        if not record.name.startswith(("urllib3", "werkzeug")):
            print("log", record.name, record.levelname, record.getMessage(), record.exc_info is not None)
logging.basicConfig(level=logging.DEBUG, format="%(name)s %(levelname)s %(message)s", handlers=[Everything()])
logging.getLogger().addHandler(logging.StreamHandler())
logging.captureWarnings(True)
import flask, jinja2, requests
app = flask.Flask("shop")
@app.get("/")
def page():
    logging.getLogger("shop").info("inside")
    return jinja2.Template("hello").render()
@app.get("/stream")
def stream():
    return flask.Response(jinja2.Template("{% for i in [1, 2, 3] %}{{ i / (2 - i) }},{% endfor %}").stream())
@app.get("/fails")
def fails():
    return sqlite3.connect(":memory:").execute("SELECT nonsense").fetchall()
client = app.test_client()
print(client.get("/").text, client.get("/fails").status)
def shown(call, *arguments):
    try:
        print(call(*arguments))
    except Exception:
        print(__import__("re").sub("0x[0-9a-f]+", "0x", traceback.format_exc()))
shown(lambda: b"".join(client.get("/stream").response))
shown(jinja2.Template("{{ 1 / 0 }}").render)
shown(lambda: list(jinja2.Template("{{ 1 / 0 }}").generate()))
shown(requests.get, "http://127.0.0.1:1/")
shown(urllib.request.urlopen, "http://127.0.0.1:1/")
shown(sqlite3.connect(":memory:").executemany, "INSERT INTO nothing VALUES (?)", [(1,)])
thread = threading.Thread(target=lambda: 1 / 0, name="own")
thread.start(); thread.join()
sys.unraisablehook = lambda told: print("unraisable", told.exc_value)
class Unraisable:
    def __del__(self):
        raise ValueError("in del")
Unraisable()
warnings.warn("careful")
print("end", file=sys.stderr)
sqlite3.connect(":memory:").execute("SELECT nonsense")
"""
COLLECTORS = {
    "there": {},
    "absent": {"PILLION_RUN_DIR": "/proc/nowhere"},
    "refusing": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "PILLION_EXIT_TIMEOUT": "200"},
    "unknown": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://nowhere.invalid:4317", "PILLION_EXIT_TIMEOUT": "200"},
    "nonsense": {"OTEL_EXPORTER_OTLP_ENDPOINT": "://", "PILLION_RING_BYTES": "x", "OTEL_TRACES_SAMPLER": "maybe"},
}


@pytest.mark.parametrize("collector", COLLECTORS)
def test_output_errors_and_every_log_handler_get_the_same_bytes(traced: Traced, collector: str) -> None:
    """Tracebacks too show no frame of ours, and with the root logger at DEBUG nothing of ours is logged."""
    both = same(traced, PROGRAM, PYTHONDEVMODE="1", **COLLECTORS[collector])
    assert "log shop INFO inside" in both.ours.out
    assert "unraisable in del" in both.ours.out
    assert "pillion" not in both.ours.out + both.ours.err


@pytest.mark.parametrize("collector", ["there", "refusing"])
def test_warnings_that_are_errors_stay_quiet(traced: Traced, collector: str) -> None:
    code = """
        import os, sqlite3
        sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
        if pid := os.fork():
            os.waitpid(pid, 0)
        print("ok", flush=True)
    """
    same(traced, code, PYTHONWARNINGS="error", PYTHONDEVMODE="1", **COLLECTORS[collector])


MOCKED = """
import builtins, io, os, random, socket, sqlite3, threading, time, uuid
from unittest import mock
import flask, jinja2, pillion, requests
database = sqlite3.connect(":memory:")
app = flask.Flask("mocked")
@app.get("/")
def page():
    database.execute("SELECT 1").fetchall()
    return jinja2.Template("hello").render()
client = app.test_client()
def use():
    with pillion.span("own"):
        return client.get("/").text
print(use())
never = mock.Mock(side_effect=AssertionError("nobody but the test may call this"))
for target in ("time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "time.perf_counter_ns", "os.getpid",
               "os.open", "os.read", "os.write", "os.urandom", "os.stat", "os.listdir", "os.replace", "os.environ.get",
               "builtins.open", "socket.socket", "socket.create_connection", "socket.getaddrinfo", "threading.Thread",
               "threading.Lock", "random.getrandbits", "random.random", "uuid.uuid4", "io.open", "sys.exc_info"):
    with mock.patch(target, never):
        with pillion.span("mocked", target=target):
            database.execute("SELECT 2").fetchall()
print(never.call_count)
from freezegun import freeze_time
with freeze_time("2001-02-03 04:05:06", tick=False) as frozen:
    print(use(), time.time(), time.monotonic_ns() >= 0)
    frozen.tick(3600)
    with pillion.span("frozen"):
        frozen.move_to("1999-01-01")
    print(time.time())
print(use())
"""


def test_mocks_of_time_files_and_sockets_neither_meet_us_nor_spoil_our_spans(traced: Traced) -> None:
    before = time.time_ns()
    both = same(traced, MOCKED)
    assert both.ours.out.splitlines()[1] == "0"
    was_traced(traced, lambda: len(traced.sink.named("mocked")) == 25 and bool(traced.sink.named("frozen")))
    for span in traced.sink.spans:
        assert before - 10**9 < span.start_ns <= span.end_ns < time.time_ns() + 10**9, span
