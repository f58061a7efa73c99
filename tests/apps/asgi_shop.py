# SPDX-License-Identifier: Apache-2.0
"""A FastAPI application and what its clients see: routes, routers, mounts, errors, streams, background tasks, a client
that leaves, a websocket.

The first argument is `middleware` or something else; the others are what asgi_served.py asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys

import fastapi
from asgi_served import settled, show
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

said = []


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

if sys.argv[1] == "middleware":

    @app.middleware("http")
    async def through(request, call_next):
        return await call_next(request)


show(app, sys.argv[2:])
print(said)
