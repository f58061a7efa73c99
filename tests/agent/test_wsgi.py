# SPDX-License-Identifier: Apache-2.0
"""WSGI: one SERVER span from the call to the close of the body, whatever the application returns or raises."""

from __future__ import annotations

import textwrap

import pytest

from tests.support.traced import Traced

SERVE = """
import io, sys
from pillion import wsgi, _native, guard
from wsgiref.util import setup_testing_defaults
def request(app, path="/a", read=True, **environ):
    base = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "REMOTE_ADDR": "10.1.2.3", "REMOTE_PORT": "4711"}
    base.update(environ)
    setup_testing_defaults(base)
    started = []
    def start_response(status, headers, exc_info=None):
        started.append(status)
        return started.append
    result = wsgi.wrap(app)(base, start_response)
    body = b"".join(result) if read else result
    if read and hasattr(result, "close"): result.close()
    return body
def text(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


def program(body: str) -> str:
    return SERVE + textwrap.dedent(body)


def test_the_attributes_of_a_request_follow_the_conventions(traced: Traced) -> None:
    traced.run(
        program("""
        assert request(text, "/caf\\u00c3\\u00a9", SCRIPT_NAME="/app", QUERY_STRING="token=secret",
            HTTP_HOST="shop.example:8443",
            HTTP_USER_AGENT="curl/8", HTTP_X_FORWARDED_FOR="1.2.3.4, 5.6.7.8", SERVER_PROTOCOL="HTTP/1.1") == b"hello"
    """)
    )
    traced.sink.wait(lambda: bool(traced.sink.spans))
    (span,) = traced.sink.spans
    assert (span.name, span.kind, span.status, span.parent_id) == ("GET", 2, 0, "")
    assert span.attributes == {
        "http.request.method": "GET", "url.scheme": "http", "url.path": "/app/café", "server.address": "shop.example",
        "server.port": 8443, "client.address": "1.2.3.4", "network.peer.address": "10.1.2.3", "network.peer.port": 4711,
        "user_agent.original": "curl/8", "network.protocol.version": "1.1", "http.response.status_code": 200,
    }  # fmt: skip


def test_the_query_is_recorded_on_request_alone(traced: Traced) -> None:
    traced.run(program('request(text, QUERY_STRING="a=1&sig=secret")'), PILLION_CAPTURE_QUERY="true")
    traced.sink.wait(lambda: bool(traced.sink.spans))
    assert traced.sink.spans[0].attributes["url.query"] == "a=1&sig=REDACTED"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HTTP_HOST": "[2001:db8::1]:80"}, ("2001:db8::1", 80)),
        ({"HTTP_FORWARDED": 'for=x;host="front.example:444";proto=https', "HTTP_HOST": "b"}, ("front.example", 444)),
        ({"HTTP_X_FORWARDED_HOST": "first.example, second", "HTTP_HOST": "b"}, ("first.example", None)),
        ({"HTTP_HOST": "\udcff"}, ("127.0.0.1", 80)),
        ({"HTTP_HOST": ":::::"}, (":::::", None)),
        ({"HTTP_HOST": "h:99999999"}, ("h", None)),
        ({"HTTP_HOST": ""}, ("127.0.0.1", 80)),
    ],
)
def test_who_was_asked_is_read_from_the_headers(traced: Traced, environ: dict[str, str], expected: object) -> None:
    result = traced.run(program(f"request(text, **{environ!r})"))
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: bool(traced.sink.spans))
    attributes = traced.sink.spans[0].attributes
    assert (attributes.get("server.address"), attributes.get("server.port")) == expected


def test_a_generator_that_closes_late_ends_its_span_at_the_close(traced: Traced) -> None:
    result = traced.run(
        program("""
        def app(environ, start_response):
            start_response("200 OK", [])
            try:
                for i in range(3):
                    with _native.begin(f"chunk {i}"): pass
                    yield b"x"
            finally:
                with _native.begin("cleanup"): pass
        body = request(app, read=False)
        next(body)
        assert _native.current() is None
        with _native.begin("outside"): pass
        body.close()
    """)
    )
    assert result.code == 0, result.err
    traced.sink.wait(lambda: len(traced.sink.spans) == 4)
    (server,) = traced.sink.named("GET")
    parents = {span.name: span.parent_id for span in traced.sink.spans}
    assert parents == {"GET": "", "outside": "", "chunk 0": server.span_id, "cleanup": server.span_id}
    assert server.attributes["http.response.status_code"] == 200


def test_a_body_that_is_never_closed_ends_when_it_is_dropped(traced: Traced) -> None:
    traced.run(
        program("""
        def app(environ, start_response):
            start_response("204 No Content", [])
            return iter(())
        request(app, read=False)
    """)
    )
    traced.sink.wait(lambda: bool(traced.sink.spans))
    assert traced.sink.spans[0].attributes["http.response.status_code"] == 204


def test_lists_and_files_reach_the_server_as_they_are(traced: Traced) -> None:
    result = traced.run(
        program("""
        class FileWrapper(io.BytesIO): pass
        given = [[b"a"], (b"b",), FileWrapper(b"c")]
        for body in given:
            def app(environ, start_response):
                start_response("200 OK", [])
                return body
            assert request(app, read=False, **{"wsgi.file_wrapper": FileWrapper}) is body
    """)
    )
    assert result.code == 0, result.err
    traced.sink.wait(lambda: len(traced.sink.spans) == 3)


def test_errors_pass_and_mark_the_span(traced: Traced) -> None:
    result = traced.run(
        program("""
        def breaks(environ, start_response): raise LookupError("in call")
        def later(environ, start_response):
            start_response("200 OK", [])
            yield b""
            raise ValueError("in body")
        def answers(environ, start_response):
            start_response("503 Busy", [])
            return []
        def missing(environ, start_response):
            start_response("404 Not Found", [])
            return []
        for app in (breaks, later):
            try: request(app)
            except (LookupError, ValueError) as error: print(error)
        request(answers); request(missing)
    """)
    )
    assert result.out == "'in call'\nin body\n" or result.out == "in call\nin body\n", result.err
    traced.sink.wait(lambda: len(traced.sink.spans) == 4)
    spans = sorted(traced.sink.spans, key=lambda span: span.start_ns)
    assert [span.status for span in spans] == [2, 2, 2, 0]
    assert [span.attributes.get("error.type") for span in spans] == ["LookupError", "ValueError", "503", None]
    assert spans[2].message == ""


def test_nested_layers_make_one_span_and_calls_of_another_shape_pass(traced: Traced) -> None:
    result = traced.run(
        program("""
        inner = wsgi.wrap(text)
        assert wsgi.wrap(inner) is inner
        def outer(environ, start_response): return inner(environ, start_response)
        assert request(outer) == b"hello"
        odd = wsgi.wrap(lambda *args, **kwargs: (args, kwargs))
        assert odd(1) == ((1,), {}) and odd(1, 2, 3) == ((1, 2, 3), {})
        assert odd({}, start_response=2) == (({},), {"start_response": 2})
        assert wsgi.wrap(5) == 5
    """)
    )
    assert result.code == 0, result.err
    traced.sink.wait(lambda: bool(traced.sink.spans))
    assert len(traced.sink.spans) == 1


def test_excluded_urls_make_no_span(traced: Traced) -> None:
    traced.run(program('request(text, "/health"); request(text, "/a")'), OTEL_PYTHON_EXCLUDED_URLS="health")
    traced.sink.wait(lambda: bool(traced.sink.spans))
    assert [span.attributes["url.path"] for span in traced.sink.spans] == ["/a"]


@pytest.mark.parametrize("variable", ["PATH_INFO", "REQUEST_METHOD", "HTTP_HOST", "HTTP_TRACEPARENT", "REMOTE_PORT"])
@pytest.mark.parametrize("value", ["None", "5", "'x' * 100000", "'\\udcff\\x00'", "b'bytes'", "''"])
def test_hostile_values_in_the_environ_change_nothing(traced: Traced, variable: str, value: str) -> None:
    result = traced.run(program(f"print(request(text, **{{{variable!r}: {value}}}), guard.counts)"))
    assert (result.code, result.out) == (0, "b'hello' {}\n"), result.err
