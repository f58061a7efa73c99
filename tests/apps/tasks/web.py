# SPDX-License-Identifier: Apache-2.0
"""A small site, as WSGI and as ASGI application. It opens a database and records a span before any worker is forked."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import flask
from census import children, descriptors, threads
from opentelemetry import trace

tracer = trace.get_tracer("web")
app = flask.Flask(__name__)
pool = ThreadPoolExecutor(1)
with tracer.start_as_current_span("import"):
    database = sqlite3.connect(":memory:", check_same_thread=False)
    lock = threading.Lock()


def query(number: int) -> int:
    with lock, tracer.start_as_current_span(f"work {number}"):
        return database.execute("SELECT ? * 2", (number,)).fetchone()[0]


@app.get("/double/<int:number>")
def double(number: int) -> str:
    if "DIRECT" in os.environ:
        return str(query(number))
    return str(pool.submit(query, number).result())


@app.get("/worker")
def worker() -> str:
    return str(os.getpid())


@app.get("/census")
def census() -> dict[str, object]:
    return {"threads": threads(), "children": children(), "descriptors": descriptors()}


async def asgi(scope, receive, send) -> None:
    if scope["type"] != "http":
        return
    number = scope["path"].rpartition("/")[2]
    with tracer.start_as_current_span("GET /double/<int:number>"):
        answer = str(os.getpid()) if number == "worker" else str(await asyncio.to_thread(query, int(number)))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": answer.encode()})
