# SPDX-License-Identifier: Apache-2.0
"""A FastAPI application under uvicorn, and what its clients see over a socket: routes, routers, mounts, errors,
streams, background tasks, clients that leave, a websocket; or, as `bare`, plain ASGI and what it allows.

The first argument names the application; the others are paths, or METHOD~path.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sqlite3
import sys
import threading
import types

import fastapi
import uvicorn
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

said = []
settled = threading.Event()  # what goes on after a response, or after its client has left, is over


def query(text="SELECT 1"):
    return sqlite3.connect(":memory:").execute(text).fetchall()


@contextlib.asynccontextmanager
async def lifespan(_):
    said.append("begin")
    yield
    said.append("end")


app = fastapi.FastAPI(lifespan=lifespan)
router = fastapi.APIRouter(prefix="/parts")


@app.api_route("/items/{item}", methods=["GET", "POST"])
async def item(item: int):
    async def one(number):
        await asyncio.sleep(0)
        return query(f"SELECT 1 AS number_{number}")

    await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(3)))
    return {"item": item}


@app.get("/sync/{item}")
def sync(item: str):
    return {"rows": query()}


@router.get("/{name:path}")
async def part(name: str):
    return name


@app.get("/crash")
async def crash():
    raise ZeroDivisionError("of the application")


@app.get("/refused")
async def refused():
    raise fastapi.HTTPException(503, "no")


@app.get("/teapot")
async def teapot():
    raise fastapi.HTTPException(418)


@app.get("/stream")
async def stream():
    async def pieces():
        for number in range(3):
            query(f"SELECT 1 AS piece_{number}")
            yield f"piece {number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(pieces())


@app.get("/broken-stream")
async def broken_stream():
    async def pieces():
        yield "one"
        raise RuntimeError("in the middle")

    return StreamingResponse(pieces())


@app.get("/later")
async def later(tasks: fastapi.BackgroundTasks):
    def work():
        query("SELECT 1 AS later")
        settled.set()

    tasks.add_task(work)
    return "soon"


@app.get("/left")
async def left():
    async def pieces():
        try:
            while True:
                yield "more"
                await asyncio.sleep(0.01)
        finally:
            settled.set()

    return StreamingResponse(pieces())


@app.websocket("/socket")
async def websocket(connection: fastapi.WebSocket):
    await connection.accept()
    await connection.close()


async def within(request):
    return PlainTextResponse("within " + request.path_params["name"])


app.include_router(router, prefix="/api")
app.mount("/shops/{shop}", Starlette(routes=[Route("/aisle/{name}", within), Mount("/none", app=Starlette())]))


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
    await asyncio.wait_for(send({"type": "http.response.body", "body": b"ok"}), 60)
    if scope["path"] == "/after":
        raise LookupError("after its end")


class Awaitable:
    """An application needn't be a coroutine function."""

    def __call__(self, scope, receive, send):
        return types.SimpleNamespace() if scope["type"] != "http" else self.steps(scope, receive, send)

    class steps:
        def __init__(self, scope, receive, send):
            self.run = bare(scope, receive, send)

        def __await__(self):
            return self.run.__await__()


def serve(application):
    config = uvicorn.Config(application, host="127.0.0.1", port=0, log_config=None, ws="wsproto", interface="asgi3")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        threading.Event().wait(0.01)
    return server, thread


def ask(port, line):
    method, path = line.split("~") if "~" in line else ("GET", line)
    with socket.create_connection(("127.0.0.1", port)) as client:
        more = "Connection: close\r\n"
        if path == "/socket":
            more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            more += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        head = f"{method} {path} HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: test\r\nContent-Length: 0\r\n"
        client.sendall(f"{head}traceparent: 00-{'a' * 32}-{'b' * 16}-01\r\n{more}\r\n".encode())
        if path == "/left":
            print(client.recv(15))
        elif path == "/socket":
            answer = b""
            while b"\x88" not in answer:  # the frame that closes it
                answer += client.recv(65536)
            print(answer[:12])
        else:
            answer = b"".join(iter(lambda: client.recv(65536), b"")).decode("latin-1")
            print([text for text in answer.split("\r\n") if not text.lower().startswith(("date", "sec-"))])
    if path in ("/left", "/later"):
        assert settled.wait(60)


if sys.argv[1] == "middleware":

    @app.middleware("http")
    async def through(request, call_next):
        return await call_next(request)


logging.basicConfig(level=logging.ERROR, format="%(name)s %(message)s")
server, thread = serve({"bare": bare, "awaitable": Awaitable()}.get(sys.argv[1], app))
port = server.servers[0].sockets[0].getsockname()[1]
for line in sys.argv[2:]:
    ask(port, line)
server.should_exit = True
thread.join()
print(said)
