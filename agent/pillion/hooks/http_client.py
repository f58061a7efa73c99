# SPDX-License-Identifier: Apache-2.0
"""http.client: one CLIENT span for each request that no library above has a span for (urllib.request, xmlrpc, …).

A request is three calls on one connection: putrequest begins the span, getresponse ends it when the headers have been
read, an error or close before that ends it too. The span is never the current one. In endheaders the context is
written into what is about to leave, unless the application has put a traceparent itself; its objects stay untouched.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from pillion import http
from pillion._native import inject_lines
from pillion.patch import CLIENT, FAMILIES, OBSERVE, Call, Target, open_span, stands_aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pillion._native import Span

    spans: WeakKeyDictionary[object, Span]
spans = WeakKeyDictionary()  # of the connections whose request is under way


def begin(call: Call, result: object) -> None:
    if stands_aside(call.span, FAMILIES["http"]):
        return
    connection = call.args[0]
    host, port = connection._tunnel_host, connection._tunnel_port
    if not host:
        host, port = connection.host, connection.port
    scheme = "https" if connection.default_port == 443 else "http"
    request = call.get(1, "method"), scheme, host, port, call.get(2, "url")
    if call.span is None or call.span.ended or call.span.recording:
        name, attributes = http.client_request(*request) or ("", None)
    else:
        name, attributes = "", http.client_measured(*request)
    span = open_span("http_client", name, CLIENT, attributes, "http") if attributes else None
    if span is not None:
        spans[connection] = span


def carry(call: Call) -> None:
    connection = call.args[0]
    if getattr(connection, "_HTTPConnection__state", "") == "Request-started":
        above = call.span is not None and call.span.family == FAMILIES["http"]
        inject_lines(connection._buffer, None if above else spans.get(connection))


def keep(call: Call) -> None:
    """getresponse may close the connection before it returns; the span is to live longer."""
    call.state = spans.pop(call.args[0], None)
    if call.state is not None and call.state.recording:
        call.state.set_many(http.peer_of(call.args[0]))


def finish(call: Call, response: object) -> None:
    if call.state is not None:
        attributes = http.client_response(response)
        call.state.set_many(attributes)
        if "error.type" in attributes:
            call.state.status(2)
        call.state.end()


def fail(call: Call, error: BaseException) -> None:
    span = call.state or spans.pop(call.args[0], None)
    if span is not None:
        span.exception(error)
        span.end()


def abandon(call: Call) -> None:
    span = spans.pop(call.args[0], None)
    if span is not None:
        span.end()


TARGETS = {
    "http.client:HTTPConnection.putrequest": Target(OBSERVE, conclude=begin, family="http"),
    "http.client:HTTPConnection.endheaders": Target(OBSERVE, carry, failed=fail),
    "http.client:HTTPConnection.getresponse": Target(OBSERVE, keep, finish, fail, family="http"),
    "http.client:HTTPConnection.close": Target(OBSERVE, abandon, family="http"),
}
