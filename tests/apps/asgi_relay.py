# SPDX-License-Identifier: Apache-2.0
"""A FastAPI application that asks itself by httpx, for whoever serves `app` on PORT."""

from __future__ import annotations

import asyncio
import os

import fastapi
import httpx

app = fastapi.FastAPI()


@app.get("/relay/{number}")
async def relay(number: int):
    await asyncio.sleep(number % 5 / 100)
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{os.environ['PORT']}/leaf/{number}")
    return answer.json()


@app.get("/leaf/{number}")
async def leaf(number: int):
    await asyncio.sleep(number % 7 / 100)
    return number
