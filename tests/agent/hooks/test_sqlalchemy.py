# SPDX-License-Identifier: Apache-2.0
"""sqlalchemy: one span a statement, none from the driver inside it, and where the database is without its password."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pillion._native import Call
from pillion.hooks import sqlalchemy as hook
from sqlalchemy.dialects import registry
from sqlalchemy.engine import make_url


def test_every_statement_is_one_span_and_the_program_cannot_tell(traced):
    run = traced("sqlalchemy_orders.py")
    names = [(span.name, span.scope) for span in run.spans if not span.name.startswith("PRAGMA")]
    assert names == [
        ("CREATE TABLE orders", "pillion.sqlalchemy"),
        ("INSERT orders", "pillion.sqlalchemy"),
        ("INSERT orders", "pillion.sqlalchemy"),
        ("INSERT orders", "pillion.sqlalchemy"),
        ("SELECT orders", "pillion.sqlalchemy"),
        ("INSERT orders", "pillion.sqlalchemy"),
        ("SELECT orders", "pillion.sqlalchemy"),
        ("SELECT orders", "pillion.sqlalchemy"),
        ("SELECT", "pillion.sqlalchemy"),
        ("SELECT nowhere", "pillion.sqlalchemy"),
    ]
    assert {span.kind for span in run.spans} == {"CLIENT"}
    assert "secret" not in str(run.spans)


def test_many_rows_at_once_are_one_span_with_their_number(traced):
    run = traced("sqlalchemy_orders.py")
    assert [span.attributes.get("db.operation.batch.size") for span in run.spans].count(2) == 1


def test_failed_statement_carries_the_error_of_the_driver(traced):
    failed = traced("sqlalchemy_orders.py").named("SELECT nowhere")
    assert failed.status == "error"
    assert failed.attributes["error.type"] == "sqlite3.OperationalError"


def call_of(url, dialect=None, *args):
    engine = SimpleNamespace(url=make_url(url))
    context = SimpleNamespace(root_connection=SimpleNamespace(engine=engine))
    return Call(dialect or SimpleNamespace(name=url.partition(":")[0]), None, "SELECT 1 FROM t", (1,), context)


def test_server_and_namespace_come_from_the_url_and_the_password_does_not():
    name, attributes = hook.describe(call_of("postgresql://me:hunter2@db.example:6432/shop?password=hunter2"))
    assert name == "SELECT t"
    assert attributes["db.system.name"] == "postgresql"
    assert attributes["server.address"] == "db.example"
    assert attributes["server.port"] == 6432
    assert attributes["db.namespace"] == "shop"
    assert "hunter2" not in str(attributes)


def test_what_the_url_does_not_tell_is_left_out():
    attributes = hook.describe(call_of("mysql://"))[1]
    assert not {"server.address", "server.port", "db.namespace"} & set(attributes)
    without_context = Call(SimpleNamespace(name="mysql"), None, "SELECT 1 FROM t", ())
    assert hook.describe(without_context)[1]["db.system.name"] == "mysql"


def test_mariadb_behind_a_mysql_url_is_told_by_its_name():
    dialect = SimpleNamespace(name="mysql", is_mariadb=True)
    assert hook.describe(call_of("mysql://h/d", dialect))[1]["db.system.name"] == "mariadb"


def test_unknown_dialect_is_other_sql():
    assert hook.describe(call_of("nobody://h/d"))[1]["db.system.name"] == "other_sql"


@pytest.mark.parametrize("name", ["postgresql.psycopg2", "mysql.mysqldb", "mssql.pyodbc", "oracle.cx_oracle"])
def test_dialects_with_an_executemany_of_their_own_are_targets(name):
    dialect = registry.load(name)
    owner = next(base for base in dialect.__mro__ if "do_executemany" in vars(base))
    assert f"{owner.__module__}:{owner.__qualname__}.do_executemany" in hook.TARGETS
