# SPDX-License-Identifier: Apache-2.0
"""psycopg2: one CLIENT span for each statement, procedure or copy, on cursors of every class.

The methods of the C type are replaced, not the type: isinstance, register_type and cursor factories see what they saw.
Under SQLAlchemy the span is its.
"""

from __future__ import annotations

from pillion.db import where
from pillion.patch import CLIENT, Call, Target
from pillion.postgres import batches, failed, place_of, queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pillion.db import Described


def describe_procedure(call: Call) -> Described:
    name = call.get(1, "procname")
    if not isinstance(name, str):
        return None
    told = {"db.system.name": "postgresql", "db.operation.name": "CALL", "db.stored_procedure.name": name}
    return f"CALL {name}", {**told, **where(place_of(call.args[0].connection))}


TARGETS = {
    "psycopg2._psycopg:cursor.execute": Target(CLIENT, queries(1, "query", (2, "vars")), failed=failed, family="db"),
    "psycopg2._psycopg:cursor.executemany": Target(
        CLIENT, batches(1, "query", (2, "vars_list")), failed=failed, family="db"
    ),
    "psycopg2._psycopg:cursor.callproc": Target(CLIENT, describe_procedure, failed=failed, family="db"),
    "psycopg2._psycopg:cursor.copy_expert": Target(CLIENT, queries(1, "sql"), failed=failed, family="db"),
}
