# SPDX-License-Identifier: Apache-2.0
"""A tiny application of the standard library alone: one request to itself, a query, a thread, a fork.

Its output is the same with and without an agent. Written for Python 3.8.
"""

import http.client
import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

try:
    import sqlite3
except ImportError:  # a CPython may be built without it
    sqlite3 = None


class Quiet(WSGIRequestHandler):
    def log_message(self, format, *args):
        pass


def answer(environ, start_response):
    """Asks SQLite, answers what it said."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield str(ask("SELECT ? + 1", 41) or 42).encode()


def ask(query, *parameters):
    """The first value, or None without SQLite."""
    if sqlite3 is None:
        return None
    database = sqlite3.connect(":memory:")
    row = database.execute(query, parameters).fetchone()
    database.close()
    return row[0]


def main():
    server = make_server("127.0.0.1", 0, answer, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", "/answer?secret=1")
    print("answer", connection.getresponse().read().decode())
    connection.close()
    server.shutdown()
    thread.join()
    server.server_close()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        ask("SELECT 'child'")
        sys.exit(3)
    print("child", os.WEXITSTATUS(os.waitpid(child, 0)[1]))
    sys.exit(5)


main()
