# SPDX-License-Identifier: Apache-2.0
"""web: what customers see. Flask behind gunicorn; goods and prices come from the catalog."""

import os

import requests
from flask import Flask, abort, render_template, request

CATALOG = os.environ.get("CATALOG_URL", "http://catalog:8000")
ORDERS = os.environ.get("ORDERS_URL", "http://orders:8000")

app = Flask(__name__)
session = requests.Session()


def answer_of(response):
    """The JSON of another service; its 404 and 409 are ours too, anything else that failed is a bad gateway."""
    if response.status_code in (404, 409):
        abort(response.status_code)
    if not response.ok:
        abort(502)
    return response.json()


@app.get("/")
def index():
    """All that is for sale."""
    return render_template("index.html", products=answer_of(session.get(f"{CATALOG}/products", timeout=5)))


@app.get("/products/<int:number>")
def product(number):
    """One product."""
    return render_template("product.html", product=answer_of(session.get(f"{CATALOG}/products/{number}", timeout=5)))


@app.post("/checkout")
def checkout():
    """Buys: the catalog prices it, orders keeps it, the mailer sends the receipt."""
    wish = {"product": request.form.get("product", type=int), "amount": request.form.get("amount", 1, type=int)}
    order = answer_of(session.post(f"{CATALOG}/purchases", json=wish, timeout=10))
    return render_template("thanks.html", order=order), 201


@app.get("/report")
def report():
    """The turnover of the last days: asked of orders, which keeps the books."""
    days = request.args.get("days", 30, type=int)
    try:
        return answer_of(session.get(f"{ORDERS}/report", params={"days": days}, timeout=30))
    except requests.RequestException:
        abort(502)


@app.get("/healthz")
def healthz():
    """For the container's health check."""
    return "ok"
