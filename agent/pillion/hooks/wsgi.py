# SPDX-License-Identifier: Apache-2.0
"""wsgi: one SERVER span for each request of any WSGI application that wsgiref, gunicorn or werkzeug serves.

The span lasts until the server closes the response's iterable. An ASGI application that gunicorn holds for another
kind of worker is left as it is.
"""

from __future__ import annotations

from pillion import wsgi
from pillion.patch import OBSERVE, REPLACE, Call, Target

COROUTINE = 0x80  # CO_COROUTINE of code.co_flags


def is_asynchronous(app: object) -> bool:
    """Is calling it a matter of `await`? Looks at the function, or at the object's `__call__`."""
    app = getattr(app, "func", app)  # of functools.partial
    for candidate in (app, type(app).__call__):
        code = getattr(getattr(candidate, "__func__", candidate), "__code__", None)
        if code is not None and code.co_flags & COROUTINE:
            return True
    return False


def served(call: Call, app: object) -> object:
    return app if is_asynchronous(app) else wsgi.wrap(app)


def adopted(call: Call, result: object) -> None:
    server = call.args[0]
    server.app = served(call, server.app)


TARGETS = {
    "wsgiref.simple_server:WSGIServer.get_app": Target(REPLACE, conclude=served),
    "gunicorn.app.base:BaseApplication.wsgi": Target(REPLACE, conclude=served),
    "werkzeug.serving:BaseWSGIServer.__init__": Target(OBSERVE, conclude=adopted),
}
