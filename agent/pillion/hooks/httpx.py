# SPDX-License-Identifier: Apache-2.0
"""httpx: one CLIENT span for each physical request, by Client and by AsyncClient: redirects are requests of their own.

A span ends when the response's headers have been read. The context is written into httpcore's copy of the headers, so
the application's request stays as it is, and so does a traceparent of its own. Transports that reach no network (mocks,
an application in the same process) make no span.
"""

from __future__ import annotations

from pillion import http
from pillion._native import inject
from pillion.patch import CLIENT, OBSERVE, Call, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def request_of(call: Call) -> tuple[object, str, object, object, object]:
    request = call.get(1, "request")
    url = request.url
    return request.method, url.scheme, url.raw_host.decode("ascii"), url.port, url.raw_path.decode("ascii")


def describe(call: Call) -> tuple[str, dict[str, object]] | None:
    return http.client_request(*request_of(call))


def measured(call: Call) -> dict[str, object] | None:
    return http.client_measured(*request_of(call))


def conclude(call: Call, response: Any) -> dict[str, object]:
    extensions = response.extensions
    version = extensions.get("http_version", b"").decode("ascii", "replace")
    attributes = http.client_answer(response.status_code, version.partition("/")[2])
    if call.span is not None and call.span.recording:
        attributes.update(http.peer_of_stream(extensions.get("network_stream")))
    return attributes


def carry(call: Call) -> None:
    """Runs where httpcore's request is complete; its list of headers was made for it."""
    headers = call.get(1, "request").headers
    if not any(name.lower() == b"traceparent" for name, _ in headers):
        headers.extend((name.encode(), value.encode()) for name, value in inject())


SEND = Target(CLIENT, describe, conclude, family="http", measured=measured)
TARGETS = {
    "httpx._transports.default:HTTPTransport.handle_request": SEND,
    "httpx._transports.default:AsyncHTTPTransport.handle_async_request": SEND,
    "httpcore._sync.connection_pool:ConnectionPool.handle_request": Target(OBSERVE, carry),
    "httpcore._async.connection_pool:AsyncConnectionPool.handle_async_request": Target(OBSERVE, carry),
}
