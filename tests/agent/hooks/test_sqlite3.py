# SPDX-License-Identifier: Apache-2.0
"""sqlite3: one CLIENT span a query, by cursor and by connection; no value of the application is in it."""

from __future__ import annotations

from pillion._native import Call
from pillion.hooks import sqlite3 as hook


def test_every_query_is_one_span_and_the_program_cannot_tell(traced):
    run = traced("sqlite_notes.py")
    assert [span.name for span in run.spans] == [
        "CREATE TABLE notes",
        "INSERT notes",
        "INSERT notes",
        "INSERT notes",
        "INSERT notes DELETE notes",
        "UPDATE notes",
        "CREATE TABLE other",
        "SELECT notes",
        "SELECT notes",
        "SELECT nowhere",
        "INSERT notes",
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("CLIENT", "pillion.sqlite3")}
    assert {span.attributes["db.system.name"] for span in run.spans} == {"sqlite"}


def test_no_literal_leaves_the_process(traced):
    run = traced("sqlite_notes.py")
    assert "secret" not in str(run.spans)
    assert run.named("INSERT notes DELETE notes").attributes["db.query.text"] == (
        "INSERT INTO notes (text) VALUES (?); DELETE FROM notes WHERE text = ?;"
    )


def test_failed_query_has_status_error_type_and_exception(traced):
    failed = traced("sqlite_notes.py").named("SELECT nowhere")
    assert (failed.status, failed.message) == ("error", "no such table: nowhere")
    assert failed.attributes["error.type"] == "sqlite3.OperationalError"
    [(name, attributes)] = failed.events
    assert name == "exception"
    assert attributes["exception.type"] == "sqlite3.OperationalError"


def test_batch_size_is_told_only_where_it_is_known():
    def batch(parameters):
        return hook.describe_many(Call(None, "INSERT INTO t VALUES (?)", parameters))[1].get("db.operation.batch.size")

    assert batch([(1,), (2,)]) == 2
    assert batch(((1,), (2,), (3,))) == 3
    assert batch([(1,)]) is None
    assert batch(iter([(1,), (2,)])) is None


def test_text_with_parameters_stays_and_text_without_is_sanitised():
    query = "SELECT 'a' FROM t WHERE b = ?"
    assert hook.describe(Call(None, query, (1,)))[1]["db.query.text"] == query
    assert hook.describe(Call(None, query, ()))[1]["db.query.text"] == "SELECT ? FROM t WHERE b = ?"
    assert hook.describe(Call(None, query))[1]["db.query.text"] == "SELECT ? FROM t WHERE b = ?"


def test_what_is_no_sql_is_named_after_the_system():
    assert hook.describe(Call(None, "hunter2"))[0] == "sqlite"
    assert hook.describe(Call(None, "hunter2"))[1] == {"db.system.name": "sqlite", "db.query.text": "hunter2"}
    assert hook.describe(Call(None, 42)) is None
    assert hook.describe(Call(None)) is None
