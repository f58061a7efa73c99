# SPDX-License-Identifier: Apache-2.0
"""urllib3, and requests through it: one CLIENT span a physical request, and the context reaches the server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pillion._native import Call
from pillion.hooks import urllib3 as hook


@pytest.fixture
def called(called):
    """With the number of times that a request was sent again."""

    def run(part, **extra):
        run = called(part, **extra)
        resends = (span.attributes.get("http.request.resend_count") for span in run.spans)
        run.told = [(*told, resent) for told, resent in zip(run.told, resends, strict=True)]
        return run

    return run


def test_requests_makes_one_span_for_each_physical_request(called):
    run = called("requests")
    assert run.told == [
        ("GET", "first", 200, None),
        ("POST", "500", 500, None),
        ("GET", "away", 302, None),
        ("GET", "arrived", 200, None),
        ("GET", "mine", 200, None),
        ("GET", "refused", "urllib3.exceptions.NewConnectionError", None),
        ("GET", "streamed", 200, None),
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("CLIENT", "pillion.urllib3")}
    first = run.spans[0].attributes
    assert (first["network.peer.address"], first["network.peer.port"]) == ("127.0.0.1", first["server.port"])


def test_retries_and_redirects_of_urllib3_are_counted(called):
    assert called("urllib3").told == [
        ("GET", "away", 302, None),
        ("GET", "arrived", 200, 1),
        ("HTTP", "odd", 200, None),
        ("GET", "", "urllib3.exceptions.NewConnectionError", None),
        ("GET", "", "urllib3.exceptions.NewConnectionError", 1),
        ("GET", "503", 503, None),
        ("GET", "503", 503, 1),
    ]


def test_context_of_the_span_reaches_the_server_and_one_of_the_application_stays(called):
    run = called("requests")
    for span in run.spans[1:4]:
        line = f"{span.name} /{str(span.attributes['url.full']).split('/', 3)[3]}"
        assert run.seen[line]["traceparent"] == f"00-{span.trace_id}-{span.span_id}-03"
    assert run.seen["GET /mine"]["traceparent"] == "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def test_errors_of_status_and_of_connection_are_told_apart(called):
    run = called("requests")
    server_error, refused = run.spans[1], run.spans[5]
    assert (server_error.status, server_error.message, server_error.events) == ("error", "", [])
    assert server_error.attributes["error.type"] == "500"
    assert refused.status == "error"
    assert [name for name, _ in refused.events] == ["exception"]


def test_neither_password_nor_query_leaves_the_process(called):
    run = called("requests")
    assert not [word for word in ("secret", "password", "dXNlcjp") if word in str(run.spans)]


def test_query_is_kept_without_its_keys_when_asked(called):
    run = called("requests", PILLION_CAPTURE_QUERY="true")
    assert str(run.spans[0].attributes["url.full"]).endswith("/first?sig=REDACTED&a=1")


def test_hook_switched_off_leaves_one_span_to_http_client(called):
    run = called("urllib3", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="urllib3")
    assert {span.scope for span in run.spans} == {"pillion.http_client"}
    assert len(run.spans) == 7


def test_excluded_url_makes_no_span_in_either_layer(called):
    run = called("urllib3", OTEL_PYTHON_EXCLUDED_URLS="/away,127.0.0.1:9/")
    assert [path for _, path, _, _ in run.told] == ["arrived", "odd", "503", "503"]


def test_request_over_a_proxy_is_told_by_the_url_it_asks_for():
    pool = SimpleNamespace(scheme="http", host="proxy.example", port=3128)
    name, attributes = hook.describe(Call(pool, None, "get", "http://user:pw@shop.example/a?b=c"))
    assert name == "GET"
    assert attributes == {
        "http.request.method": "GET",
        "http.request.method_original": "get",
        "url.full": "http://REDACTED:REDACTED@shop.example/a",
        "server.address": "shop.example",
        "server.port": 80,
    }
