# SPDX-License-Identifier: Apache-2.0
"""A Flask application whose every answer is known before: what it is asked decides what must have been counted."""

import os
import sqlite3
import threading
import urllib.request

import urllib3
from flask import Flask

app = Flask(__name__)
OTHER = os.environ.get("OTHER_URL", "")  # a server that answers 200, or 503 below /broken
held = threading.local()


def database():
    if not hasattr(held, "connection"):
        held.connection = sqlite3.connect(":memory:")
        held.connection.execute("CREATE TABLE items (id INTEGER, name TEXT)")
        held.pool = urllib3.PoolManager()
    return held.connection


@app.get("/items/<int:number>")
def item(number):
    rows = database().execute("SELECT name FROM items WHERE id = ?", (number,)).fetchall()
    try:
        database().cursor().execute("SELECT nothing FROM nowhere")
    except sqlite3.OperationalError:
        pass
    return {"found": len(rows)}


@app.post("/items/<int:number>")
def change(number):
    return "", 204


@app.get("/fails")
def fails():
    raise KeyError("on purpose")


@app.get("/refused")
def refused():
    return "no", 503


@app.get("/streams")
def streams():
    return app.response_class(str(n) for n in range(20))


@app.get("/calls/<which>")
def calls(which):
    database()
    answer = held.pool.request("GET", OTHER + "/" + which, retries=False)
    with urllib.request.urlopen(urllib.request.Request(OTHER + "/plain", method="HEAD")):
        return str(answer.status)
