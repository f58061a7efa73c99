# SPDX-License-Identifier: Apache-2.0
"""App A of the figures: Flask, one Jinja template, three sqlite3 queries a request. Ordinary code, no tracing in it."""

import os
import resource
import sqlite3

from flask import Flask, render_template

app = Flask(__name__)
database = sqlite3.connect(":memory:", check_same_thread=False)
database.executescript(
    "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, price INTEGER);"
    "CREATE TABLE review (product INTEGER, stars INTEGER);"
)
database.executemany("INSERT INTO product VALUES (?, ?, ?)", [(n, f"product {n}", n * 100) for n in range(1, 21)])
database.executemany("INSERT INTO review VALUES (?, ?)", [(n % 20 + 1, n % 5 + 1) for n in range(100)])


@app.get("/products/<int:number>")
def product(number):
    """A page with one product, its stars and its neighbours."""
    row = database.execute("SELECT id, name, price FROM product WHERE id = ?", (number,)).fetchone()
    stars = database.execute("SELECT AVG(stars) FROM review WHERE product = ?", (number,)).fetchone()[0]
    others = database.execute("SELECT name, price FROM product WHERE id != ? LIMIT 10", (number,)).fetchall()
    return render_template("product.html", row=row, stars=stars, others=others)


@app.get("/cpu")
def cpu():
    """What this worker has used so far, in microseconds, and its pid: for the measuring side."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"pid": os.getpid(), "us": round((used.ru_utime + used.ru_stime) * 1e6)}
