# SPDX-License-Identifier: Apache-2.0
"""Rate, errors and duration are exact at any sampling rate: what was counted is what was sent, to the request."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.journey.programs import get, gunicorn, serving
from tests.support.points import counts, newest
from tests.support.servers import free_port
from tests.support.traced import Traced

APPS = Path(__file__).resolve().parents[1] / "apps"
SERVER, CLIENT, DB = "http.server.request.duration", "http.client.request.duration", "db.client.operation.duration"
RATES = {
    "all": {},
    "some": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "none": {"OTEL_TRACES_SAMPLER": "always_off"},
}
PLAN = [  # method, path, how often each thread asks it; what it must be counted as
    ("GET", "/items/{n}", 12, ("GET", "/items/<int:number>", 200, None)),
    ("POST", "/items/{n}", 3, ("POST", "/items/<int:number>", 204, None)),
    ("GET", "/nowhere/{n}", 2, ("GET", None, 404, None)),
    ("DELETE", "/items/{n}", 1, ("DELETE", None, 405, None)),
    ("GET", "/fails", 2, ("GET", "/fails", 500, "KeyError")),
    ("GET", "/refused", 2, ("GET", "/refused", 503, "503")),
    ("GET", "/streams", 2, ("GET", "/streams", 200, None)),
    ("BREW", "/items/{n}", 1, ("_OTHER", None, 405, None)),
    ("GET", "/calls/fine", 2, ("GET", "/calls/<which>", 200, None)),
    ("GET", "/calls/broken", 1, ("GET", "/calls/<which>", 200, None)),
]
THREADS = 4


class Other(BaseHTTPRequestHandler):
    """The server that the application calls."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def other() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def load(port: int) -> Counter[tuple[Any, ...]]:
    """Asks everything of the plan from several threads. What was sent, as it is to be counted."""
    sent: list[tuple[Any, ...]] = []

    def ask(number: int) -> None:
        for turn in range(12):
            for method, path, times, counted in PLAN:
                if turn < times:
                    status, _ = get(port, path.format(n=number * 100 + turn), method)
                    assert status == counted[2]
                    sent.append(counted)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == THREADS * sum(times for _, _, times, _ in PLAN)
    return Counter(sent)


def expected_calls(port: int) -> Counter[tuple[Any, ...]]:
    return Counter(
        {
            ("GET", "127.0.0.1", port, 200, None, "1.1"): THREADS * 2,
            ("GET", "127.0.0.1", port, 503, "503", "1.1"): THREADS,
            ("HEAD", "127.0.0.1", port, 200, None, "1.1"): THREADS * 3,
        }
    )


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_counts_of_a_flask_app_under_gunicorn_are_what_was_sent(
    traced: Traced, other: int, rate: str, kind: str
) -> None:
    port = free_port()
    more = {"OTHER_URL": f"http://127.0.0.1:{other}", "OTEL_METRIC_EXPORT_INTERVAL": "300", **RATES[rate]}
    command = [*gunicorn(port, "red_shop:app"), "-k", kind, "--threads", "3"]
    with serving(command, port, traced.folder / "server.log", traced.environ(**more), APPS):
        sent = load(port)
        columns = ("http.request.method", "http.route", "http.response.status_code", "error.type")
        # All of it comes while the workers live and have nothing to do: nobody needs to end or to ask again.
        traced.sink.wait(lambda: counts(traced.sink, SERVER).total() >= sent.total())
        assert counts(traced.sink, SERVER, *columns) == sent
        assert set(counts(traced.sink, SERVER, "url.scheme", "network.protocol.version")) == {("http", "1.1")}
        columns = ("http.request.method", "server.address", "server.port", "http.response.status_code", "error.type")
        calls = counts(traced.sink, CLIENT, *columns, "network.protocol.version")
        assert calls == expected_calls(other)
        columns = ("db.query.summary", "db.operation.name", "db.collection.name", "error.type", "db.system.name")
        queries = counts(traced.sink, DB, *columns)
        create = queries.pop(("CREATE TABLE items", "CREATE TABLE", "items", None, "sqlite"), 0)
        assert 2 <= create <= THREADS * 40  # one a thread of a worker
        assert queries == {
            ("SELECT items", "SELECT", "items", None, "sqlite"): THREADS * 12,
            ("SELECT nowhere", "SELECT", "nowhere", "sqlite3.OperationalError", "sqlite"): THREADS * 12,
        }
    traced.sink.adopt()  # what the processes left at their end says the same
    assert counts(traced.sink, SERVER).total() == sent.total()
    if rate == "none":
        assert traced.sink.spans == []
    assert len({instance for instance, _ in newest(traced.sink, SERVER)}) <= 2
    assert traced.log() == ""


def test_every_attribute_of_the_metrics_is_one_that_the_conventions_name() -> None:
    import re

    import opentelemetry.semconv._incubating.attributes as incubating
    import opentelemetry.semconv.attributes as stable

    source = (Path(__file__).resolve().parents[2] / "native" / "red.c").read_text()
    listed = source[source.index("key_names[RED_KEYS]") :]
    names = re.findall(r'"([a-z._]+)"', listed[: listed.index("};")])
    known = {
        line.split('"')[1]
        for package in (stable, incubating)
        for folder in package.__path__
        for path in Path(folder).glob("*_attributes.py")
        for line in path.read_text().splitlines()
        if re.match(r'[A-Z_]+: Final = "', line)
    }
    assert len(names) == 14 and set(names) <= known


WSGI = """
import sys, sqlite3
from pillion import wsgi
def application(environ, start):
    if environ["PATH_INFO"] == "/raises":
        raise ValueError("x")
    start("200 OK", [])
    if environ["PATH_INFO"] == "/late":
        return iter([b"a", b"b"])
    return [b"ok"]
app = wsgi.wrap(application)
def ask(path="/", method="GET", **more):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http"}
    return app({**environ, **more}, lambda *a: None)
"""


@pytest.mark.parametrize("rate", ["all", "none"])
def test_streamed_dropped_failed_and_nested_requests_count_once_each(traced: Traced, rate: str) -> None:
    result = traced.run(
        WSGI
        + """
list(ask()); list(ask(HTTP_TRACEPARENT="00-" + "1" * 32 + "-" + "2" * 16 + "-00"))
body = ask("/late"); list(body); body.close()
body = ask("/late"); next(body); del body
try: ask("/raises")
except ValueError: pass
inner, app = app, wsgi.wrap(lambda e, s: inner(e, s))
list(ask())
""",
        **RATES[rate],
    )
    assert (result.code, result.err) == (0, "")
    found = counts(traced.sink, SERVER, "http.response.status_code", "error.type")
    assert found == {(200, None): 5, (None, "ValueError"): 1}


def test_more_routes_than_the_limit_meet_in_the_overflow_point(traced: Traced) -> None:
    result = traced.run(
        """
        import sqlite3
        db = sqlite3.connect(":memory:")
        for number in range(2500):
            try: db.execute(f"SELECT 1 FROM table_{number}")
            except sqlite3.OperationalError: pass
        """,
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert result.code == 0, result.err
    found = counts(traced.sink, DB, "otel.metric.overflow")
    assert found == {(None,): 1999, (True,): 501}


def test_forked_child_counts_from_zero_and_for_itself(traced: Traced) -> None:
    result = traced.run(
        """
        import os, sqlite3
        db = sqlite3.connect(":memory:")
        for _ in range(5): db.execute("SELECT 1")
        if os.fork() == 0:
            child = sqlite3.connect(":memory:")
            for _ in range(3): child.execute("SELECT 1")
        else:
            os.wait()
        """,
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert (result.code, result.err) == (0, "")
    points = newest(traced.sink, DB)
    assert sorted(point.count for point in points.values()) == [3, 5] and len({i for i, _ in points}) == 2


def test_what_was_counted_before_a_fork_is_told_of_although_nothing_more_happens(traced: Traced) -> None:
    path = traced.write("""
        import os, sqlite3, sys, time
        sqlite3.connect(":memory:").execute("SELECT 1")
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.01)
    """)
    flag = traced.folder / "flag"
    more = {"OTEL_TRACES_SAMPLER": "always_off", "OTEL_METRIC_EXPORT_INTERVAL": "1500"}
    process = subprocess.Popen([sys.executable, str(path), str(flag)], env=traced.environ(**more))
    try:
        traced.sink.wait(lambda: counts(traced.sink, DB).total() == 1)
    finally:
        flag.touch()
        assert process.wait(60) == 0


@pytest.mark.parametrize("rate", ["all", "none"])
def test_a_call_inside_a_call_of_its_family_is_not_counted_twice(traced: Traced, rate: str) -> None:
    pytest.importorskip("sqlalchemy")
    result = traced.run(
        """
        import sqlalchemy, sqlite3, pillion
        engine = sqlalchemy.create_engine("sqlite://")
        with pillion.span("request"), engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
            connection.execute(sqlalchemy.text("SELECT 1"))
            for _ in range(3): sqlite3.connect(":memory:").execute("SELECT 2")
        """,
        **RATES[rate],
    )
    assert (result.code, result.err) == (0, "")
    summaries = counts(traced.sink, DB, "db.query.summary")
    assert sum(count for (text,), count in summaries.items() if text == "SELECT") == 5


@pytest.mark.parametrize("rate", ["all", "none"])
def test_calls_that_nobody_answers_count_with_their_error(traced: Traced, rate: str) -> None:
    port = free_port()
    result = traced.run(
        """
        import http.client, sys, urllib.request, urllib3
        import pillion
        url = f"http://127.0.0.1:{sys.argv[1]}/"
        pool = urllib3.PoolManager()
        with pillion.span("request"):
            for ask in (lambda: pool.request("GET", url, retries=2), lambda: urllib.request.urlopen(url)):
                try: ask()
                except Exception as error: print(type(error).__name__)
        """,
        str(port),
        **RATES[rate],
    )
    assert (result.code, result.out, result.err) == (0, "MaxRetryError\nURLError\n", "")
    found = counts(traced.sink, CLIENT, "error.type", "http.request.method", "server.address", "server.port")
    where = "GET", "127.0.0.1", port
    assert found == {("urllib3.exceptions.NewConnectionError", *where): 3, ("ConnectionRefusedError", *where): 1}


def test_metrics_that_are_off_count_nothing(traced: Traced) -> None:
    result = traced.run(
        WSGI + "list(ask()); sqlite3.connect(':memory:').execute('SELECT 1')",
        OTEL_METRICS_EXPORTER="none",
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert (result.code, result.err) == (0, "")
    assert traced.sink.metrics == [] and traced.sink.spans == []


def test_duration_is_the_span_s_own(traced: Traced) -> None:
    result = traced.run("import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1')")
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: bool(traced.sink.spans))
    (span,), (point,) = traced.sink.spans, newest(traced.sink, DB).values()
    assert point.sum == pytest.approx((span.end_ns - span.start_ns) / 1e9, abs=1e-12)


def test_thousand_threads_lose_no_call(traced: Traced) -> None:
    result = traced.run(
        """
        import sqlite3, threading
        def work():
            db = sqlite3.connect(":memory:")
            for _ in range(50): db.execute("SELECT 1")
        for _ in range(10):
            threads = [threading.Thread(target=work) for _ in range(100)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """,
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_METRIC_EXPORT_INTERVAL="100",
    )
    assert (result.code, result.err) == (0, "")
    assert counts(traced.sink, DB).total() == 50_000


def test_calls_of_greenlets_that_take_turns_are_each_counted_once(traced, sink):
    ran = traced.run(
        """
        import sqlite3, greenlet, pillion
        from pillion import _native

        def switching(number):
            if number in turn:
                turn[number].switch()

        def connect():
            db = sqlite3.connect(":memory:")
            db.create_function("switching", 1, switching)
            return db

        def query(db, number):
            with pillion.span(f"query {number}"):
                db.execute("SELECT switching(?)", (number,)).fetchone()

        turn = {}
        query(connect(), 0)  # from here on the text is known
        one = greenlet.greenlet(lambda: query(connect(), 1))
        two = greenlet.greenlet(lambda: query(connect(), 2))
        turn.update({1: two, 2: one})
        one.switch()  # within its call two's begins; one's ends first
        two.switch()
        turn.clear()
        db = connect()
        for number in range(97):  # spans at the addresses of those that are gone, among others
            others = [_native.begin("other") for _ in range(number % 7)]
            query(db, number)
        """,
        **RATES["none"],
    )
    assert (ran.code, ran.err) == (0, "")
    assert sum(counts(sink, DB).values()) == 100
