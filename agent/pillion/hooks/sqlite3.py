# SPDX-License-Identifier: Apache-2.0
"""sqlite3: one CLIENT span for each query or script, on cursors and on connections.

Reading rows is not part of it. The path of the database isn't known without asking the database, so it is left out.
"""

from __future__ import annotations

from pillion.db import describe_query, queries, with_batch
from pillion.patch import CLIENT, Call, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pillion.db import Described


describe = queries("sqlite", (1, "sql"), (2, "parameters"))
describe_script = queries("sqlite", (1, "sql_script"))


def describe_many(call: Call) -> Described:
    return with_batch(describe_query("sqlite", call.get(1, "sql"), True), call.get(2, "parameters"))


EXECUTE = Target(CLIENT, describe, family="db", measured=(1, "sql"))
EXECUTE_MANY = Target(CLIENT, describe_many, family="db", measured=(1, "sql"))
EXECUTE_SCRIPT = Target(CLIENT, describe_script, family="db", measured=(1, "sql_script"))
TARGETS = {
    "sqlite3:Cursor.execute": EXECUTE,
    "sqlite3:Cursor.executemany": EXECUTE_MANY,
    "sqlite3:Cursor.executescript": EXECUTE_SCRIPT,
    # Some versions go through the cursor's methods, others don't.
    "sqlite3:Connection.execute": EXECUTE,
    "sqlite3:Connection.executemany": EXECUTE_MANY,
    "sqlite3:Connection.executescript": EXECUTE_SCRIPT,
}
