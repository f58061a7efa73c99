# SPDX-License-Identifier: Apache-2.0
"""A site that imports late: the database, with its first request. It says which processes answered."""

import os


def app(environ, start_response):
    import sqlite3

    connection = sqlite3.connect(":memory:")
    total = connection.execute("SELECT ? + ?", (1, 2)).fetchone()[0]
    connection.close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{total} {os.getpid()} {os.getppid()}".encode()]
