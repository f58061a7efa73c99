# SPDX-License-Identifier: Apache-2.0
"""Plain ASGI and what it allows: no response, half of one, errors before, within and after it, and no coroutine at all.

The first argument names the application; the others are what asgi_served.py asks for.
"""

from __future__ import annotations

import asyncio
import sys
import types
import warnings

import flask
from asgi_served import show
from uvicorn.middleware.wsgi import WSGIMiddleware

refused = []  # told at the end: the server has a thread of its own


async def bare(scope, receive, send):
    """Plain ASGI."""
    if scope["type"] != "http":
        raise NotImplementedError
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    if scope["path"] == "/silent":
        return
    if scope["path"] == "/early":
        raise LookupError("before the response")
    if scope["path"] == "/shared":  # who sends is another task
        await asyncio.create_task(send(start))
    else:
        await send(start)
    if scope["path"] == "/late":
        raise LookupError("after its start")
    last = send({"type": "http.response.body", "body": b"ok"})
    await asyncio.wait_for(last, 60)
    if scope["path"] == "/again":
        for step in (lambda: last.send(None), lambda: last.throw(KeyError("again"))):
            try:
                step()
            except Exception as error:
                refused.append(repr(error))
    if scope["path"] == "/after":
        raise LookupError("after its end")


site = flask.Flask("site")  # WSGI, which an adapter serves by ASGI


@site.get("/double/<int:number>")
def double(number):
    return str(2 * number)


class Awaitable:
    """An application needn't be a coroutine function."""

    def __call__(self, scope, receive, send):
        return types.SimpleNamespace() if scope["type"] != "http" else self.steps(scope, receive, send)

    class steps:
        def __init__(self, scope, receive, send):
            self.run = bare(scope, receive, send)

        def __await__(self):
            return self.run.__await__()


warnings.simplefilter("ignore", DeprecationWarning)  # uvicorn's adapter
show({"bare": bare, "awaitable": Awaitable(), "adapted": WSGIMiddleware(site)}[sys.argv[1]], sys.argv[2:])
print(refused)
