# SPDX-License-Identifier: Apache-2.0
"""The demo's shop: ordinary Flask code that renders pages and asks the stock service. It has never heard of pillion."""

import logging
import os
import random

import requests
from flask import Flask, abort, redirect, render_template, request, url_for

STOCK = os.environ.get("STOCK_URL", "http://127.0.0.1:8001")
DECLINED = float(os.environ.get("SHOP_DECLINED", "0.15"))  # the share of payments that fail
log = logging.getLogger("shop")

app = Flask(__name__)
stock = requests.Session()


class PaymentDeclined(Exception):
    """The bank said no."""


def pay(total):
    """Takes the money, or sometimes doesn't."""
    if random.random() < DECLINED:
        raise PaymentDeclined(f"the bank declined {total / 100:.2f}")


def ask_stock(path, **kwargs):
    """The stock service's answer as JSON."""
    answer = stock.get(STOCK + path, timeout=5, **kwargs)
    if answer.status_code == 404:
        abort(404)
    answer.raise_for_status()
    return answer.json()


@app.get("/")
def index():
    """All products."""
    return render_template("index.html", products=ask_stock("/products"))


@app.get("/products/<int:number>")
def product(number):
    """One product, with how it sold."""
    return render_template("product.html", product=ask_stock(f"/products/{number}"))


@app.post("/checkout")
def checkout():
    """Reserves the goods and takes the money: fails now and then, as checkouts do."""
    number = request.form.get("product", type=int)
    amount = request.form.get("amount", default=1, type=int)
    answer = stock.post(f"{STOCK}/reservations", json={"product": number, "amount": amount}, timeout=5)
    if answer.status_code == 409:
        return render_template("sold_out.html"), 409
    answer.raise_for_status()
    order = answer.json()
    pay(order["total"])
    log.warning("order %s sold for %s", order["id"], order["total"])
    return redirect(url_for("receipt", number=order["id"]), code=303)


@app.get("/orders/<int:number>")
def receipt(number):
    """What somebody bought."""
    return render_template("receipt.html", order=ask_stock(f"/orders/{number}"))


@app.get("/report")
def report():
    """The slow page: turnover of each product, computed the long way."""
    return render_template("report.html", rows=ask_stock("/turnover"))
