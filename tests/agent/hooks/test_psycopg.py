# SPDX-License-Identifier: Apache-2.0
"""psycopg: one CLIENT span a statement, synchronous and asynchronous; no literal is in it, and none is made twice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pillion import postgres as shared
from pillion._native import Call
from pillion.hooks import psycopg as hook


@pytest.fixture
def orders(traced, postgres):
    """Runs one part of the program."""
    return lambda part, **extra: traced("postgres_orders.py", part, PGPORT=postgres, **extra)


def test_every_statement_is_one_span_and_the_program_cannot_tell(orders):
    run = orders("psycopg")
    assert [span.name for span in run.spans] == [
        "CREATE TABLE orders_psycopg",
        "DELETE orders_psycopg",
        "INSERT orders_psycopg",
        "SELECT orders_psycopg",
        "SELECT orders_psycopg",
        'SELECT "orders_psycopg"',
        "SELECT",
        "SELECT orders_psycopg",
        "SELECT nowhere",
        "SELECT orders_psycopg",
        "SELECT",
        "SELECT",
        "DROP TABLE orders_psycopg",
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("CLIENT", "pillion.psycopg")}


def test_span_says_where_and_what(orders, postgres):
    run = orders("psycopg")
    assert dict(run.spans[2].attributes) == {
        "db.system.name": "postgresql",
        "db.query.text": "INSERT INTO orders_psycopg VALUES (%s, %s)",
        "db.query.summary": "INSERT orders_psycopg",
        "db.operation.name": "INSERT",
        "db.collection.name": "orders_psycopg",
        "db.operation.batch.size": 2,
        "db.namespace": "shop",
        "server.address": "127.0.0.1",
        "server.port": int(postgres),
    }


def test_no_literal_leaves_the_process(orders):
    run = orders("psycopg")
    assert "secret" not in str(run.spans + orders("psycopg_async").spans)
    assert run.spans[4].attributes["db.query.text"] == "SELECT ? FROM orders_psycopg WHERE id = ?"
    assert run.spans[5].attributes["db.query.text"] == 'SELECT ? FROM "orders_psycopg"'


def test_failed_statement_has_its_sqlstate(orders):
    failed = orders("psycopg").named("SELECT nowhere")
    assert failed.status == "error"
    assert failed.attributes["error.type"] == "psycopg.errors.UndefinedTable"
    assert failed.attributes["db.response.status_code"] == "42P01"


def test_asynchronous_cursors_make_the_same(orders):
    run = orders("psycopg_async")
    assert [(span.name, span.attributes.get("error.type")) for span in run.spans] == [
        ("CREATE TABLE orders_psycopg_async", None),
        ("INSERT orders_psycopg_async", None),
        ("SELECT orders_psycopg_async", None),
        ("SELECT", "asyncio.exceptions.CancelledError"),
        ("DROP TABLE orders_psycopg_async", None),
    ]


def test_sqlalchemy_above_has_the_span_alone(orders):
    run = orders("sqlalchemy")
    ours = [s for s in run.spans if str(s.attributes.get("db.query.text")).endswith(("AS two", "= %(one)s"))]
    assert [span.scope for span in ours] == ["pillion.sqlalchemy"] * 3


def test_message_of_a_failure_is_the_servers_without_the_lines_that_quote_the_statement(orders):
    failed = orders("psycopg").named("SELECT nowhere")
    [(_, attributes)] = failed.events
    assert failed.message == attributes["exception.message"] == 'relation "nowhere" does not exist'
    assert attributes["exception.stacktrace"].endswith('UndefinedTable: relation "nowhere" does not exist\n')


def test_hook_switched_off_makes_no_span(orders):
    assert orders("psycopg_async", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="psycopg").spans == []


def test_connection_that_is_closed_or_no_connection_is_no_place():
    class Closed:
        @property
        def info(self):
            raise RuntimeError("closed")

    assert shared.place_of(Closed()) is None
    assert shared.place_of(None) is None


def test_text_is_found_whatever_it_was_given_as():
    class SQL:
        _obj = "SELECT "

    class Literal:
        _obj = "secret"

    class Composed:
        def __init__(self):
            self._obj = [SQL(), Literal()]

    class Endless:
        pass

    Endless.__name__ = "Composed"
    Endless._obj = [Endless()]
    template = type("Template", (), {"strings": ("SELECT ", " FROM t")})()
    assert [shared.text_of(query) for query in ("a", b"b\xff", Composed(), template, 7)] == [
        "a",
        "b\ufffd",
        "SELECT ?",
        "SELECT ? FROM t",
        None,
    ]
    assert shared.text_of(Endless()) is not None
    assert hook.EXECUTE.describe(Call(SimpleNamespace(connection=None), 7)) is None
