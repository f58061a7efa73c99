# SPDX-License-Identifier: Apache-2.0
"""Plain WSGI applications of every shape: functions, classes, generators, write(), closing late; and one ASGI one."""

from __future__ import annotations

closed: list[str] = []


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/crash":
        raise LookupError("before the response")
    if path == "/write":
        start_response("200 OK", [("Content-Type", "text/plain")])(b"written ")
        return [b"and returned"]
    if path == "/class":
        return Pages(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (piece for piece in (b"a", b"b")) if path == "/generator" else [b"list"]


class Pages:
    def __init__(self, environ, start_response):
        self.start_response = start_response

    def __iter__(self):
        self.start_response("404 Nothing", [("Content-Type", "text/plain")])
        yield b"class"

    def close(self):
        closed.append("class")


async def asgi(scope, receive, send):
    """Is never called by a WSGI server."""
