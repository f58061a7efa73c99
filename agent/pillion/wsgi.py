# SPDX-License-Identifier: Apache-2.0
"""wsgi: any WSGI callable with one SERVER span a request (native/module_wsgi.c does it; nested ones make no second)."""

from __future__ import annotations

from pillion._native import Wrapper
from pillion.patch import WSGI, keep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def wrap(app: Any, scope: str = "pillion.wsgi") -> Any:
    """The application with a span around each request. A call of another shape (ASGI) goes straight through."""
    if isinstance(app, Wrapper) or not callable(app):
        return app
    return keep(Wrapper(app, WSGI, scope))


def url_of(environ: dict[str, Any]) -> str:
    """The request's URL as the excluded URLs are matched against it."""
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    query = environ.get("QUERY_STRING")
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return f"{environ.get('wsgi.url_scheme', 'http')}://{host}{path}{'?' + query if query else ''}"
