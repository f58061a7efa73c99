# SPDX-License-Identifier: Apache-2.0
"""psycopg: one CLIENT span for each statement that a cursor of psycopg 3 executes, synchronous or asynchronous.

Reading rows isn't part of it, but for `stream`, which lasts until its last row. Under SQLAlchemy the span is its.
"""

from __future__ import annotations

from pillion.patch import CLIENT, Target
from pillion.postgres import batches, failed, queries

QUERY, PARAMETERS = (1, "query"), (2, "params")
EXECUTE = Target(CLIENT, queries(*QUERY, PARAMETERS), failed=failed, family="db")
EXECUTE_MANY = Target(CLIENT, batches(*QUERY, (2, "params_seq")), failed=failed, family="db")
OF_SERVER = Target(CLIENT, queries(*QUERY, PARAMETERS), failed=failed, family="db", optional=True)
TARGETS = {
    "psycopg.cursor:Cursor.execute": EXECUTE,
    "psycopg.cursor:Cursor.executemany": EXECUTE_MANY,
    "psycopg.cursor:Cursor.stream": EXECUTE,
    "psycopg.cursor_async:AsyncCursor.execute": EXECUTE,
    "psycopg.cursor_async:AsyncCursor.executemany": EXECUTE_MANY,
    "psycopg.cursor_async:AsyncCursor.stream": EXECUTE,
    # Cursors that the server keeps, in its old place and in the new ones.
    "psycopg.server_cursor:ServerCursor.execute": OF_SERVER,
    "psycopg.server_cursor:AsyncServerCursor.execute": OF_SERVER,
    "psycopg._server_cursor:ServerCursor.execute": OF_SERVER,
    "psycopg._server_cursor_async:AsyncServerCursor.execute": OF_SERVER,
}
