# SPDX-License-Identifier: Apache-2.0
"""urllib3: one CLIENT span for each physical request, so also for requests, botocore and others built on it.

Retries and redirects are requests of their own. A span ends when the response's headers have been read; connecting and
TLS are part of it. The context travels with http_client.py, where the bytes leave.
"""

from __future__ import annotations

from pillion import http
from pillion.patch import CLIENT, Call, Target


def describe(call: Call) -> tuple[str, dict[str, object]] | None:
    pool = call.args[0]
    described = http.client_request(call.get(2, "method"), pool.scheme, pool.host, pool.port, call.get(3, "url"))
    retries = call.get(6, "retries")
    if retries and described is not None:
        history = getattr(retries, "history", None)
        if history and isinstance(history, tuple):
            described[1]["http.request.resend_count"] = len(history)
    return described


def measured(call: Call) -> dict[str, object] | None:
    pool = call.args[0]
    return http.client_measured(call.get(2, "method"), pool.scheme, pool.host, pool.port, call.get(3, "url"))


def conclude(call: Call, response: object) -> dict[str, object]:
    attributes = http.client_response(response)
    if call.span is not None and call.span.recording:
        attributes.update(http.peer_of(call.get(1, "conn")))
    return attributes


TARGETS = {
    "urllib3.connectionpool:HTTPConnectionPool._make_request": Target(
        CLIENT, describe, conclude, family="http", measured=measured
    )
}
