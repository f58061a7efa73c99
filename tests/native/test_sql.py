# SPDX-License-Identifier: Apache-2.0
"""The published cases of the semantic conventions (data/db-sql-test-cases.json, release 1.44.0), through the module.

What sql.c does beyond them is in native/tests/test_sql.c.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pillion._native import sql

CASES = json.loads((Path(__file__).parent / "data" / "db-sql-test-cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_published_case_gives_its_text_and_summary(case):
    text, summary, _, _ = sql(case["input"]["query"], False)
    assert text in case["expected"]["db.query.text"]
    assert summary == case["expected"]["db.query.summary"]


def test_text_and_parameters_are_told_apart_in_the_cache():
    query = "SELECT 'kept' FROM t WHERE a = ?"
    assert sql(query, True)[0] == query
    assert sql(query, False)[0] == "SELECT ? FROM t WHERE a = ?"
    assert sql(query, True) is sql(query, True)


def test_text_that_is_no_utf8_is_described_all_the_same():
    assert sql("SELECT '\ud800' FROM t", False) == ("SELECT ? FROM t", "SELECT t", "SELECT", "t")
    assert sql("", False) == ("", None, None, None)
