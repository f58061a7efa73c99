# SPDX-License-Identifier: Apache-2.0
"""asgi: any ASGI callable with one SERVER span a request (native/module_asgi.c does it)."""

from __future__ import annotations

from pillion._native import Wrapper
from pillion.patch import ASGI, keep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def wrap(app: Any, scope: str = "pillion.asgi") -> Any:
    """The application with a span around each HTTP request. Lifespan and websocket go straight through."""
    if isinstance(app, Wrapper) or not callable(app):
        return app
    return keep(Wrapper(app, ASGI, scope))


def url_of(scope: dict[str, Any]) -> str:
    """The request's URL as the excluded URLs are matched against it."""
    host = dict(scope.get("headers", ())).get(b"host", b"").decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scope.get('scheme', 'http')}://{host}{scope.get('path', '')}{'?' + query if query else ''}"
