# SPDX-License-Identifier: Apache-2.0
"""http.client: a request that is three calls is one span, ended by the response, an error, or the connection's end."""

from __future__ import annotations


def test_urllib_and_xmlrpc_make_one_span_a_request(called):
    run = called("urllib")
    assert run.told == [
        ("GET", "plain", 200),
        ("GET", "away", 302),
        ("GET", "arrived", 200),
        ("GET", "404", 404),
        ("GET", "", "ConnectionRefusedError"),
        ("POST", "rpc", 200),
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("CLIENT", "pillion.http_client")}
    assert [span.status for span in run.spans] == ["unset", "unset", "unset", "error", "error", "unset"]


def test_connection_that_is_used_again_makes_a_span_each_time(called):
    run = called("http_client")
    assert run.told == [
        ("GET", "one", 200),
        ("GET", "two", 200),
        ("POST", "pieces", 200),
        ("HEAD", "mine", 200),
        ("GET", "given-up", None),
    ]
    assert {span.status for span in run.spans} == {"unset"}
    assert {span.attributes.get("network.peer.address") for span in run.spans[:4]} == {"127.0.0.1"}


def test_context_of_the_span_reaches_the_server_exactly_once(called):
    run = called("http_client")
    for span in run.spans[:4]:
        line = f"{span.name} /{str(span.attributes['url.full']).split('/', 3)[3]}"
        assert run.seen[line]["traceparent"] == f"00-{span.trace_id}-{span.span_id}-03"


def test_span_is_never_current_so_a_second_request_is_no_child(called):
    assert {span.parent_id for span in called("http_client").spans} == {""}


def test_nothing_leaves_when_propagation_is_off(called):
    run = called("http_client", OTEL_PROPAGATORS="none")
    assert not [headers for headers in run.seen.values() if "traceparent" in headers]
    assert len(run.spans) == 5


def test_unsampled_trace_makes_no_span_and_still_tells_the_server(called):
    run = called("urllib", OTEL_TRACES_SAMPLER="always_off")
    assert run.spans == []
    assert run.seen["GET /plain"]["traceparent"].endswith("-02")
