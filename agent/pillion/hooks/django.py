# SPDX-License-Identifier: Apache-2.0
"""django: the request's SERVER span is named `{method} {route}`, under WSGI and under ASGI; what became a 500 is on it.

Under a server that is hooked itself (wsgi.py, asgi.py) the span is the server's; any other WSGI server's requests get
theirs here.
"""

from __future__ import annotations

from pillion import http
from pillion.patch import OBSERVE, WSGI, Call, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def routed(call: Call, match: Any) -> None:
    """Where the application is mounted, then the patterns that matched, as its urls.py has them."""
    entry = call.entry
    if entry is None or not (entry.recording or entry.measured):
        return
    request = call.get(1, "request")
    root = request.path[: len(request.path) - len(request.path_info)]
    route = str(match.route)
    http.set_route(entry, request.method, f"{root}/{route[1:] if route[:1] == '^' else route}")


def failed(call: Call, response: object) -> None:
    """The exception was answered with a 500; one that goes on to the server is recorded on its way."""
    error = call.get(2, "exc_info")[1]
    if call.entry is not None and isinstance(error, BaseException):
        call.entry.exception(error)


TARGETS = {
    "django.core.handlers.wsgi:WSGIHandler.__call__": Target(WSGI),
    "django.core.handlers.base:BaseHandler.resolve_request": Target(OBSERVE, conclude=routed),
    "django.core.handlers.exception:handle_uncaught_exception": Target(OBSERVE, conclude=failed),
}
