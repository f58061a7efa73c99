# SPDX-License-Identifier: Apache-2.0
"""asgi: one SERVER span a request under uvicorn, until its response has really gone, and the program cannot tell."""

from __future__ import annotations

import pytest

FASTAPI = [
    "/items/5?sig=secret",
    "/crash",
    "/refused",
    "/teapot",
    "/stream",
    "/broken-stream",
    "/later",
    "/left",
    "/socket",
]
BARE = ["/plain", "/silent", "/early", "/shared", "/late", "/after", "BREW~/odd", "/again"]


def told(run):
    """Of each request: path, status, what was sent, what went wrong."""
    return [
        (
            s.attributes["url.path"],
            s.status,
            s.attributes.get("http.response.status_code"),
            s.attributes.get("error.type"),
        )
        for s in run.of_kind("SERVER")
    ]


def test_every_request_is_one_server_span_with_its_outcome(traced):
    run = traced("asgi_shop.py", "fastapi", *FASTAPI)
    assert told(run) == [
        ("/items/5", "unset", 200, None),
        ("/crash", "error", 500, "ZeroDivisionError"),
        ("/refused", "error", 503, "503"),
        ("/teapot", "unset", 418, None),
        ("/stream", "unset", 200, None),
        ("/broken-stream", "error", 200, "RuntimeError"),
        ("/later", "unset", 200, None),
        ("/left", "unset", 200, None),
    ], "and a websocket makes none"
    requests = run.of_kind("SERVER")
    assert {(s.trace_id, s.parent_id, s.scope) for s in requests} == {("a" * 32, "b" * 16, "pillion.asgi")}
    assert "secret" not in str(run.spans)


@pytest.mark.parametrize("application", ["bare", "awaitable"])
def test_plain_asgi_is_served_the_same_whatever_it_does(traced, application):
    run = traced("asgi_plain.py", application, *BARE)
    assert told(run) == [
        ("/plain", "unset", 200, None),
        ("/silent", "unset", None, None),
        ("/early", "error", None, "LookupError"),
        ("/shared", "unset", 200, None),
        ("/late", "error", 200, "LookupError"),
        ("/after", "unset", 200, None),
        ("/odd", "unset", 200, None),
        ("/again", "unset", 200, None),
    ]
    assert [s.name for s in run.spans] == ["GET"] * 6 + ["HTTP", "GET"]


def test_wsgi_behind_an_adapter_is_one_span_of_the_server_named_by_its_route(traced):
    run = traced("asgi_plain.py", "adapted", "/double/4")
    assert [(s.name, s.kind, s.scope) for s in run.spans] == [("GET /double/<int:number>", "SERVER", "pillion.asgi")]


def test_request_is_described_as_the_conventions_say(traced):
    span = traced("asgi_shop.py", "fastapi", *FASTAPI).of_kind("SERVER")[0]
    attributes = dict(span.attributes)
    assert attributes.pop("network.peer.port") > 0
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{item}",
        "url.scheme": "http",
        "url.path": "/items/5",
        "server.address": "shop.example",
        "server.port": 8080,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "test",
    }


def test_context_is_there_in_tasks_and_in_the_thread_of_a_synchronous_endpoint(traced):
    run = traced("asgi_shop.py", "middleware", "/items/5", "/sync/7")
    tasks, thread = run.of_kind("SERVER")
    assert [s.parent_id for s in run.of_kind("CLIENT")] == [tasks.span_id] * 3 + [thread.span_id]


def test_span_lasts_as_long_as_the_stream_and_not_as_long_as_what_follows(traced):
    run = traced("asgi_shop.py", "fastapi", *FASTAPI)
    stream, later = (s for s in run.of_kind("SERVER") if s.attributes["url.path"] in ("/stream", "/later"))
    pieces = [s for s in run.of_kind("CLIENT") if s.parent_id == stream.span_id]
    assert len(pieces) == 3 and all(piece.end_ns <= stream.end_ns for piece in pieces)
    [after] = [s for s in run.of_kind("CLIENT") if s.parent_id == later.span_id]
    assert after.start_ns >= later.end_ns


def test_exception_that_became_a_500_is_recorded_once(traced):
    run = traced("asgi_shop.py", "fastapi", *FASTAPI)
    [crash] = [s for s in run.of_kind("SERVER") if s.attributes["url.path"] == "/crash"]
    [(name, attributes)] = crash.events
    assert (name, attributes["exception.message"]) == ("exception", "of the application")
    assert "in crash" in attributes["exception.stacktrace"]


def test_query_is_kept_without_its_keys_when_asked(traced):
    run = traced("asgi_plain.py", "bare", "/plain?sig=secret&a=1", PILLION_CAPTURE_QUERY="true")
    assert run.of_kind("SERVER")[0].attributes["url.query"] == "sig=REDACTED&a=1"


def test_excluded_url_makes_no_span(traced):
    run = traced(
        "asgi_shop.py", "bare", "/plain", "/late", OTEL_PYTHON_FASTAPI_EXCLUDED_URLS="example:8080/pl.*,health"
    )
    assert [s.attributes["url.path"] for s in run.spans] == ["/late"]


def test_hook_switched_off_makes_no_span_and_leaves_the_others(traced):
    run = traced("asgi_shop.py", "fastapi", "/sync/7", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="asgi")
    assert [span.name for span in run.spans] == ["SELECT"]
