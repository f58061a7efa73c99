# SPDX-License-Identifier: Apache-2.0
"""catalog: names and prices. FastAPI on uvicorn; what is in stock it asks of orders, by httpx."""

import os
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, PositiveInt

ORDERS = os.environ.get("ORDERS_URL", "http://orders:8000")
PRODUCTS = {1: ("bell", 790), 2: ("saddle", 4900), 3: ("lamp", 2450), 4: ("pannier", 8900), 5: ("chain", 1990)}


@asynccontextmanager
async def lifespan(app):
    """One client for the life of the process."""
    async with httpx.AsyncClient(base_url=ORDERS, timeout=10) as app.state.orders:
        yield


app = FastAPI(lifespan=lifespan)


class Wish(BaseModel):
    """What somebody wants to buy."""

    product: int
    amount: PositiveInt = 1


def known(number):
    """Name and price, or 404."""
    if number not in PRODUCTS:
        raise HTTPException(404, "no such product")
    return PRODUCTS[number]


@app.get("/products")
async def products():
    """Everything that is for sale."""
    stock = (await app.state.orders.get("/stock")).raise_for_status().json()
    return [
        {"id": number, "name": name, "price": price, "stock": stock.get(str(number), 0)}
        for number, (name, price) in PRODUCTS.items()
    ]


@app.get("/products/{number}")
async def product(number: int):
    """One product."""
    name, price = known(number)
    stock = (await app.state.orders.get(f"/stock/{number}")).raise_for_status().json()
    return {"id": number, "name": name, "price": price, "stock": stock["amount"]}


@app.post("/purchases", status_code=201)
async def purchase(wish: Wish):
    """Prices the wish and orders it; 409 when there are not enough left."""
    name, price = known(wish.product)
    order = {"product": wish.product, "name": name, "amount": wish.amount, "total": price * wish.amount}
    answer = await app.state.orders.post("/orders", json=order)
    if answer.status_code == 409:
        raise HTTPException(409, "sold out")
    return answer.raise_for_status().json()


@app.get("/healthz")
async def healthz():
    """For the container's health check."""
    return "ok"
