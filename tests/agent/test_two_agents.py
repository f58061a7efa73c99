# SPDX-License-Identifier: Apache-2.0
"""Another agent in the same process: the application is as with that agent alone, and the outcome is recorded."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support.guest import lines
from tests.support.others import agent
from tests.support.traced import BOOT, Traced, clean_environ

PROGRAM = """
import http.client, http.server, logging, sqlite3, sys, threading
logging.basicConfig(format="%(levelname)s %(message)s")
BEGIN
import flask, requests
app = flask.Flask("shop")
@app.get("/<name>")
def page(name):
    if name == "fails":
        raise ValueError(name)
    return str(sqlite3.connect(":memory:").execute("SELECT 5").fetchall())
client = app.test_client()
for path in ("/you", "/fails", "/nothing/here"):
    answer = client.get(path, buffered=True)
    print(answer.status, answer.text)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parents = self.headers.get_all("traceparent") or []
        print(len(parents) <= 1, self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *ignored):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(requests.get(f"http://127.0.0.1:{server.server_port}/get").text)
server.shutdown()
print(sorted(thread.name for thread in threading.enumerate() if "pillion" in thread.name))
END
"""
OTEL_SDK = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
for instrumentor in (FlaskInstrumentor, RequestsInstrumentor, SQLite3Instrumentor):
    instrumentor().instrument()
"""
SENTRY = """
import sentry_sdk
sent = []
class Transport(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        sent.extend(item.type for item in envelope.items)
sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", transport=Transport, traces_sample_rate=1.0)
"""
OTHERS = {
    "opentelemetry": (OTEL_SDK, "print(sorted(span.name for span in exporter.get_finished_spans()))"),
    "sentry": (SENTRY, "print(sorted(sent))"),
}


def runs(traced: Traced, code: str, path: list[str], **env: str) -> list[list[str]]:
    """How it went with the other agent alone, and with both."""
    app, told = traced.write(code), []
    for ours in (False, True):
        environ = traced.environ(**env) if ours else clean_environ(**env)
        environ["PYTHONPATH"] = os.pathsep.join(([str(BOOT)] if ours else []) + path)
        told.append(lines(traced.execute([sys.executable, str(app)], environ)))
    return told


@pytest.mark.parametrize("other", OTHERS)
def test_an_agent_that_the_application_sets_up_itself_works_on(traced: Traced, other: str) -> None:
    begin, end = OTHERS[other]
    alone, both = runs(traced, PROGRAM.replace("BEGIN", begin).replace("END", end), [str(agent(other))])
    assert both == alone
    assert alone[0] == "exit code 0", alone
    (record,) = traced.records()
    stood_down = other != "sentry"
    assert record["decision"] == ("not" if stood_down else "injected"), record
    assert bool(record["reason"]) == stood_down
    if not stood_down:
        traced.sink.wait(lambda: len(traced.sink.named("GET /<name>")) == 2)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_opentelemetrys_injection_beside_ours_works_on(traced: Traced, first: str) -> None:
    """Both come by PYTHONPATH. Ours sees theirs and stands down; theirs runs no other: it stays alone."""
    packages = agent("opentelemetry")
    folder = str(packages / "opentelemetry" / "instrumentation" / "auto_instrumentation")
    end = "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__name__)"
    settings = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("METRICS", "LOGS")}
    settings |= {"OTEL_TRACES_EXPORTER": "console", "OTEL_SERVICE_NAME": "both"}
    app, told = traced.write(PROGRAM.replace("BEGIN", "").replace("END", end)), []
    for path in ([folder], [str(BOOT), folder] if first == "ours" else [folder, str(BOOT)]):
        environ = traced.environ(PYTHONPATH=os.pathsep.join([*path, str(packages)]), **settings)
        told.append(lines(traced.execute([sys.executable, str(app)], environ)))
    alone, both = ([line for line in run if not line.startswith((" ", "{", "}"))] for run in told)  # not its spans
    assert both == alone
    assert "TracerProvider" in both
    count = [sum('"span_id"' in line for line in run) for run in told]
    assert count[1] == count[0] > 0, "it sees what it saw"
    records = traced.records()
    assert [record["decision"] for record in records] == (["not"] if first == "ours" else [])
    assert all(record["code"] == "OTHER_AGENT" and "auto_instrumentation" in record["reason"] for record in records)


def test_ddtrace_and_we_leave_one_another_alone(traced: Traced) -> None:
    begin = "import ddtrace.auto"
    end = "from ddtrace.trace import tracer; print(type(tracer).__name__)"
    alone, both = runs(
        traced,
        PROGRAM.replace("BEGIN", begin).replace("END", end),
        [str(agent("ddtrace"))],
        DD_TRACE_AGENT_URL="http://127.0.0.1:1",
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_TRACE_STARTUP_LOGS="false",
    )
    own = ("failed to send", "127.0.0.1:1", "Shutting down tracer")  # its own words, with ids and times
    said = [[line for line in run if not any(each in line for each in own)] for run in (alone, both)]
    assert said[1] == said[0]
    assert alone[0] == "exit code 0", alone
    (record,) = traced.records()
    assert record["decision"] == "injected"
    traced.sink.wait(lambda: len(traced.sink.named("GET /<name>")) == 2)
