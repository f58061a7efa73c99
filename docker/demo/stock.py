# SPDX-License-Identifier: Apache-2.0
"""The demo's stock service: Flask over one SQLite file, by sqlite3 and SQLAlchemy. Knows no pillion either."""

import os
import sqlite3
import sys
import tempfile

import sqlalchemy
from flask import Flask, abort, g, jsonify, request

PATH = os.environ.get("STOCK_DB") or os.path.join(tempfile.gettempdir(), f"stock-{os.getuid()}.db")
PRODUCTS = [("bell", 790), ("saddle", 4900), ("lamp", 2450), ("pannier", 8900), ("chain", 1990), ("tyre", 3290)]
SCHEMA = """
CREATE TABLE IF NOT EXISTS product (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price INTEGER, stock INTEGER);
CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, product INTEGER REFERENCES product, amount INTEGER,
                                   total INTEGER);
"""

app = Flask(__name__)
engine = sqlalchemy.create_engine(f"sqlite:///{PATH}")


def database():
    """This request's connection."""
    if "database" not in g:
        g.database = sqlite3.connect(PATH, timeout=5)
        g.database.row_factory = sqlite3.Row
    return g.database


@app.teardown_appcontext
def close(_error):
    """The connection lives as long as its request."""
    if "database" in g:
        g.pop("database").close()


def prepare():
    """Tables and goods, if the file has none yet."""
    connection = sqlite3.connect(PATH)
    with connection:
        connection.executescript(SCHEMA)
        for name, price in PRODUCTS:
            connection.execute("INSERT OR IGNORE INTO product (name, price, stock) VALUES (?, ?, 500)", (name, price))
    connection.close()


@app.get("/products")
def products():
    """Everything that is for sale."""
    rows = database().execute("SELECT id, name, price, stock FROM product ORDER BY name")
    return jsonify([dict(row) for row in rows])


@app.get("/products/<int:number>")
def product(number):
    """One product and the number of its orders."""
    row = database().execute("SELECT id, name, price, stock FROM product WHERE id = ?", (number,)).fetchone()
    if row is None:
        abort(404)
    sold = database().execute("SELECT COALESCE(SUM(amount), 0) FROM orders WHERE product = ?", (number,)).fetchone()[0]
    return jsonify(dict(row) | {"sold": sold})


@app.post("/reservations")
def reserve():
    """Takes goods off the shelf; 409 when there are none left."""
    wish = request.get_json()
    number, amount = wish["product"], wish["amount"]
    with database() as connection:
        taken = connection.execute(
            "UPDATE product SET stock = stock - ? WHERE id = ? AND stock >= ?", (amount, number, amount)
        )
        if taken.rowcount == 0:
            return jsonify(error="sold out"), 409
        price = connection.execute("SELECT price FROM product WHERE id = ?", (number,)).fetchone()[0]
        order = connection.execute(
            "INSERT INTO orders (product, amount, total) VALUES (?, ?, ?)", (number, amount, price * amount)
        )
    return jsonify(id=order.lastrowid, total=price * amount), 201


@app.get("/orders/<int:number>")
def order(number):
    """One order, by SQLAlchemy."""
    query = sqlalchemy.text(
        "SELECT o.id, p.name, o.amount, o.total FROM orders o JOIN product p ON p.id = o.product WHERE o.id = :number"
    )
    with engine.connect() as connection:
        row = connection.execute(query, {"number": number}).mappings().first()
    if row is None:
        abort(404)
    return jsonify(dict(row))


@app.get("/turnover")
def turnover():
    """Slow on purpose: SQLite counts to two hundred thousand for each product."""
    rows = []
    for item in database().execute("SELECT id, name FROM product ORDER BY name").fetchall():
        database().execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT SUM(i) FROM n"
        ).fetchone()
        total = database().execute("SELECT COALESCE(SUM(total), 0) FROM orders WHERE product = ?", (item["id"],))
        rows.append({"name": item["name"], "total": total.fetchone()[0]})
    return jsonify(rows)


prepare()

if __name__ == "__main__":
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 8001)
