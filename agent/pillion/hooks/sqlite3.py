# SPDX-License-Identifier: Apache-2.0
"""sqlite3: one CLIENT span for each query or script, on cursors and on connections (which use a cursor inside).

Reading rows is not part of it. The path of the database isn't known without asking the database, so it is left out.
"""

from __future__ import annotations

from pillion.db import describe_query, is_given
from pillion.patch import CLIENT, Call, Target


def describe(call: Call) -> tuple[str, dict[str, object]] | None:
    return describe_query("sqlite", call.get(1, "sql"), is_given(call.get(2, "parameters")))


def describe_many(call: Call) -> tuple[str, dict[str, object]] | None:
    return describe_query("sqlite", call.get(1, "sql"), True, call.get(2, "parameters"))


def describe_script(call: Call) -> tuple[str, dict[str, object]] | None:
    return describe_query("sqlite", call.get(1, "sql_script"), False)


TARGETS = {
    "sqlite3:Cursor.execute": Target(CLIENT, describe, family="db"),
    "sqlite3:Cursor.executemany": Target(CLIENT, describe_many, family="db"),
    "sqlite3:Cursor.executescript": Target(CLIENT, describe_script, family="db"),
}
