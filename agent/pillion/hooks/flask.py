# SPDX-License-Identifier: Apache-2.0
"""flask: one SERVER span for each request, named `{method} {route}`; exceptions that became a 500 are on it.

Under a server that is hooked itself (wsgi.py) the span is the server's; the route goes there all the same.
"""

from __future__ import annotations

import sys

from pillion import http
from pillion.patch import OBSERVE, WSGI, Call, Target


def route(call: Call) -> None:
    entry = call.entry
    if entry is None or not (entry.recording or entry.measured):
        return
    request = sys.modules["flask.globals"].request._get_current_object()  # each look through the proxy costs
    rule = request.url_rule
    if rule is None:
        return
    http.set_route(entry, request.method, request.environ.get("SCRIPT_NAME", "") + rule.rule)


def handled(call: Call, response: object) -> None:
    """The exception was answered; one that goes on to the server is recorded on its way."""
    error = call.args[-1] if len(call.args) > 1 else call.kwargs.get("e")
    if call.entry is not None and isinstance(error, BaseException):
        call.entry.exception(error)


TARGETS = {
    "flask.app:Flask.wsgi_app": Target(WSGI),
    "flask.app:Flask.full_dispatch_request": Target(OBSERVE, route),
    "flask.app:Flask.handle_exception": Target(OBSERVE, conclude=handled),
}
