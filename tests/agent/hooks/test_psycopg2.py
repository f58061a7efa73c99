# SPDX-License-Identifier: Apache-2.0
"""psycopg2: one CLIENT span a statement, on cursors of every class; types and registrations are as before."""

from __future__ import annotations

import pytest


@pytest.fixture
def orders(traced, postgres):
    return lambda **extra: traced("postgres_orders.py", "psycopg2", PGPORT=postgres, **extra)


def test_every_statement_is_one_span_and_the_program_cannot_tell(orders):
    run = orders()
    assert [span.name for span in run.spans] == [
        "CREATE TABLE orders_psycopg2",
        "DELETE orders_psycopg2",
        "INSERT orders_psycopg2",
        "INSERT orders_psycopg2",
        "SELECT orders_psycopg2",
        'SELECT "orders_psycopg2"',
        "CALL abs",
        "COPY SELECT orders_psycopg2",
        "SELECT nowhere",
        "SELECT orders_psycopg2",
        "DROP TABLE orders_psycopg2",
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("CLIENT", "pillion.psycopg2")}


def test_no_literal_leaves_the_process(orders):
    run = orders()
    assert "secret" not in str(run.spans)
    assert run.spans[3].attributes["db.query.text"] == "INSERT INTO orders_psycopg2 VALUES (?,?),(?,?)"
    assert run.spans[4].attributes["db.query.text"] == "SELECT name FROM orders_psycopg2 WHERE id = %(id)s"


def test_span_says_where_and_what(orders, postgres):
    run = orders()
    for span in run.spans:
        where = (span.attributes[f"server.{name}"] for name in ("address", "port"))
        assert (*where, span.attributes["db.namespace"]) == ("127.0.0.1", int(postgres), "shop")
    assert run.named("CALL abs").attributes["db.stored_procedure.name"] == "abs"


def test_failed_statement_has_its_sqlstate(orders):
    failed = orders().named("SELECT nowhere")
    assert failed.attributes["error.type"] == "psycopg2.errors.UndefinedTable"
    assert failed.attributes["db.response.status_code"] == "42P01"


def test_message_of_a_failure_is_the_servers_without_the_lines_that_quote_the_statement(orders):
    failed = orders().named("SELECT nowhere")
    [(_, attributes)] = failed.events
    assert failed.message == attributes["exception.message"] == 'relation "nowhere" does not exist'
    assert attributes["exception.stacktrace"].endswith('UndefinedTable: relation "nowhere" does not exist\n')


def test_hook_switched_off_makes_no_span(orders):
    assert orders(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="psycopg2").spans == []
