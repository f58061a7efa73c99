# SPDX-License-Identifier: Apache-2.0
"""Statements on a PostgreSQL by psycopg, psycopg's asyncio side, psycopg2, and by SQLAlchemy above each of them."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import sys

PORT = int(os.environ["PGPORT"])
DSN = f"host=127.0.0.1 port={PORT} dbname=shop user=shop"
TABLE = f"orders_{sys.argv[1]}"


def with_psycopg():
    import psycopg
    from psycopg import sql

    with psycopg.connect(DSN, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id int PRIMARY KEY, name text)")
        cursor.execute(f"DELETE FROM {TABLE} WHERE name <> 'secret'")
        cursor.executemany(f"INSERT INTO {TABLE} VALUES (%s, %s)", [(1, "secret"), (2, "secret")])
        print(connection.execute(f"SELECT name FROM {TABLE} WHERE id = %s", (1,)).fetchall())
        print(cursor.execute(f"SELECT 'secret' FROM {TABLE} WHERE id = 2".encode()).fetchone())
        composed = sql.SQL("SELECT {} FROM {}").format(sql.Literal("secret"), sql.Identifier(TABLE))
        print(cursor.execute(composed).rowcount, cursor.execute(sql.SQL("SELECT 1")).rowcount)
        print(list(cursor.stream(f"SELECT id FROM {TABLE} ORDER BY id")))
        try:
            cursor.execute("SELECT nothing FROM nowhere WHERE a = 'secret'")
        except psycopg.errors.UndefinedTable as error:
            print(type(error).__name__)
        try:
            cursor.execute(7)
        except TypeError as error:
            print(error)
        with connection.transaction(), connection.cursor(name="kept") as kept:
            print(kept.execute(f"SELECT id FROM {TABLE} ORDER BY id").fetchall())
        with psycopg.ClientCursor(connection) as client, connection.pipeline():
            client.execute("SELECT 2")
            client.execute("SELECT 3")
        print(isinstance(cursor, psycopg.Cursor), inspect.signature(psycopg.Cursor.execute))
        cursor.execute(f"DROP TABLE {TABLE}")


def with_psycopg_async():
    import psycopg

    async def main():
        async with await psycopg.AsyncConnection.connect(DSN, autocommit=True) as connection:
            cursor = connection.cursor()
            await cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id int)")
            await cursor.executemany(f"INSERT INTO {TABLE} VALUES (%s)", [(1,), (2,)])
            print([row async for row in cursor.stream(f"SELECT id FROM {TABLE} ORDER BY id")])
            try:
                await asyncio.wait_for(connection.execute("SELECT pg_sleep(60), 'secret'"), 0.2)
            except TimeoutError:
                print("timed out")
            await connection.execute(f"DROP TABLE {TABLE}")
            print(inspect.iscoroutinefunction(cursor.execute), inspect.isasyncgenfunction(cursor.stream))

    asyncio.run(main())


def with_psycopg2():
    import psycopg2
    import psycopg2.extensions
    import psycopg2.extras
    from psycopg2 import sql

    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    psycopg2.extensions.register_type(psycopg2.extensions.UNICODEARRAY, connection)
    cursor = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    psycopg2.extensions.register_type(psycopg2.extensions.UNICODE, cursor)
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id int PRIMARY KEY, name text)")
    cursor.execute(f"DELETE FROM {TABLE} WHERE name <> 'secret'")
    cursor.executemany(f"INSERT INTO {TABLE} VALUES (%s, %s)", [(1, "secret"), (2, "secret")])
    psycopg2.extras.execute_values(cursor, f"INSERT INTO {TABLE} VALUES %s", [(3, "secret"), (4, "secret")])
    cursor.execute(f"SELECT name FROM {TABLE} WHERE id = %(id)s", {"id": 1})
    print(cursor.fetchall())
    cursor.execute(sql.SQL("SELECT {} FROM {}").format(sql.Literal("secret"), sql.Identifier(TABLE)))
    cursor.callproc("abs", [-7])
    print(cursor.fetchall())
    out = io.StringIO()
    cursor.copy_expert(f"COPY (SELECT id FROM {TABLE} WHERE name = 'secret' ORDER BY id) TO STDOUT", out)
    print(out.getvalue().split())
    try:
        cursor.execute("SELECT nothing FROM nowhere WHERE a = 'secret'")
    except psycopg2.errors.UndefinedTable as error:
        print(type(error).__name__)
    try:
        cursor.execute(7)
    except TypeError as error:
        print(error)
    with connection.cursor("kept", withhold=True) as kept:
        kept.execute(f"SELECT id FROM {TABLE} ORDER BY id")
        print(kept.fetchall())
    cursor.execute(f"DROP TABLE {TABLE}")
    print(type(cursor).__mro__, type(psycopg2.extensions.cursor.execute).__name__ in ("method_descriptor", "Wrapper"))


def with_sqlalchemy():
    import sqlalchemy
    from sqlalchemy.ext.asyncio import create_async_engine

    where = f"shop@127.0.0.1:{PORT}/shop"
    for driver in ("psycopg", "psycopg2"):
        with sqlalchemy.create_engine(f"postgresql+{driver}://{where}").connect() as connection:
            print(connection.execute(sqlalchemy.text("SELECT 1 AS one WHERE 1 = :one"), {"one": 1}).fetchall())

    async def main():
        engine = create_async_engine(f"postgresql+psycopg://{where}")
        async with engine.connect() as connection:
            print((await connection.execute(sqlalchemy.text("SELECT 2 AS two"))).fetchall())
        await engine.dispose()

    asyncio.run(main())


globals()["with_" + sys.argv[1]]()
