# SPDX-License-Identifier: Apache-2.0
"""httpx: one CLIENT span a physical request, synchronous and asynchronous, and the context reaches the server."""

from __future__ import annotations

import pytest


def test_client_makes_one_span_for_each_physical_request_and_a_mock_none(called):
    run = called("httpx")
    assert run.told == [
        ("GET", "first", 200),
        ("POST", "500", 500),
        ("GET", "away", 302),
        ("GET", "arrived", 200),
        ("GET", "mine", 200),
        ("GET", "refused", "httpx.ConnectError"),
        ("GET", "other", "httpx.UnsupportedProtocol"),
        ("GET", "streamed", 200),
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("CLIENT", "pillion.httpx")}
    first = run.spans[0].attributes
    assert (first["network.peer.address"], first["network.peer.port"]) == ("127.0.0.1", first["server.port"])
    assert (first["network.protocol.version"], first["server.address"]) == ("1.1", "127.0.0.1")


def test_asynchronous_client_makes_the_same_also_for_requests_at_once(called):
    run = called("httpx_async")
    assert sorted(run.told[:3]) == [("GET", f"{n}xx", 200) for n in "abc"]
    assert run.told[3:] == [
        ("GET", "404", 404),
        ("GET", "refused", "httpx.ConnectError"),
        ("GET", "slow", "asyncio.exceptions.CancelledError"),
        ("GET", "streamed", 200),
    ]
    assert len({span.trace_id for span in run.spans}) == 7, "none is inside another"
    assert run.spans[3].attributes["network.peer.port"] == run.spans[3].attributes["server.port"]


@pytest.mark.parametrize("part", ["httpx", "httpx_async"])
def test_context_of_the_span_reaches_the_server_and_one_of_the_application_stays(called, part):
    run = called(part)
    for span, (name, path, outcome) in zip(run.spans, run.told, strict=True):
        if path != "mine" and type(outcome) is int and path != "first":
            assert run.seen[f"{name} /{path}"]["traceparent"] == f"00-{span.trace_id}-{span.span_id}-03"
    if part == "httpx":
        assert run.seen["GET /mine"]["traceparent"] == "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def test_errors_of_status_and_of_connection_are_told_apart(called):
    run = called("httpx")
    server_error, refused = run.spans[1], run.spans[5]
    assert (server_error.status, server_error.message, server_error.events) == ("error", "", [])
    assert server_error.attributes["error.type"] == "500"
    assert refused.status == "error"
    assert [name for name, _ in refused.events] == ["exception"]


def test_neither_password_nor_query_leaves_the_process(called):
    run = called("httpx")
    assert not [word for word in ("secret", "password", "dXNlcjp") if word in str(run.spans)]


def test_hook_switched_off_leaves_neither_span_nor_header(called):
    run = called("httpx", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="httpx")
    assert run.spans == []
    assert "traceparent" not in run.seen["GET /away"]


def test_excluded_url_makes_no_span(called):
    run = called("httpx", OTEL_PYTHON_HTTPX_EXCLUDED_URLS="/away,127.0.0.1:9/")
    assert [path for _, path, _ in run.told] == ["first", "500", "arrived", "mine", "other", "streamed"]
