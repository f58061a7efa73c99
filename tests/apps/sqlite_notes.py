# SPDX-License-Identifier: Apache-2.0
"""Queries in all the ways that sqlite3 knows, with errors, subclasses, and connections used without a cursor."""

from __future__ import annotations

import sqlite3
import traceback


class MyCursor(sqlite3.Cursor):
    def execute(self, *args):
        return super().execute(*args)


def fails(call, *args):
    try:
        call(*args)
    except Exception as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        print(type(error).__name__, error, frames)


connection = sqlite3.connect(":memory:")
print(connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)").fetchall())
cursor = connection.cursor()
print(cursor.execute("INSERT INTO notes (text) VALUES (?)", ("secret one",)).lastrowid)
print(cursor.executemany("INSERT INTO notes (text) VALUES (:t)", [{"t": "two"}, {"t": "three"}]).rowcount)
print(cursor.executemany("INSERT INTO notes (text) VALUES (?)", (("four" + str(i),) for i in range(2))).rowcount)
cursor.executescript("INSERT INTO notes (text) VALUES ('secret five'); DELETE FROM notes WHERE text = 'none';")
connection.executemany("UPDATE notes SET text = ? WHERE id = ?", [("a", 1)])
connection.executescript("CREATE TABLE other (a);")
print(cursor.execute("SELECT count(*) FROM notes WHERE text LIKE 'secret%'").fetchone())
print(connection.cursor(MyCursor).execute("SELECT id FROM notes ORDER BY id").fetchall())
fails(cursor.execute, "SELECT * FROM nowhere WHERE a = 'secret'")
fails(cursor.execute, 42)
fails(cursor.execute)
fails(connection.execute, "INSERT INTO notes (id) VALUES (1)")
print(cursor.execute.__name__, sqlite3.Cursor.execute.__qualname__, sqlite3.Cursor.execute.__doc__[:12])
connection.commit()
connection.close()
