# SPDX-License-Identifier: Apache-2.0
"""sqlalchemy: one CLIENT span for each statement that goes to a driver; the driver's own hook adds none inside it.

Where the database is comes from the engine's URL, whose password is never looked at.
"""

from __future__ import annotations

from pillion.db import describe_query, is_given, with_batch
from pillion.patch import CLIENT, Call, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pillion.db import Described

SYSTEMS = {
    "bigquery": "other_sql",
    "clickhouse": "clickhouse",
    "clickhousedb": "clickhouse",
    "cockroachdb": "cockroachdb",
    "databricks": "other_sql",
    "firebird": "firebirdsql",
    "hana": "sap.hana",
    "hive": "hive",
    "ibm_db_sa": "ibm.db2",
    "mariadb": "mariadb",
    "mssql": "microsoft.sql_server",
    "mysql": "mysql",
    "oracle": "oracle.db",
    "postgresql": "postgresql",
    "redshift": "aws.redshift",
    "spanner+spanner": "gcp.spanner",
    "sqlite": "sqlite",
    "teradatasql": "teradata",
    "trino": "trino",
}


def described(call: Call, parameterised: bool, context: object) -> Described:
    dialect = call.args[0]
    system = SYSTEMS.get(dialect.name, "other_sql")
    if system == "mysql" and getattr(dialect, "is_mariadb", False):
        system = "mariadb"
    url = getattr(getattr(getattr(context, "root_connection", None), "engine", None), "url", None)
    place = None if url is None or system == "sqlite" else (url.host, url.port, url.database)
    return describe_query(system, call.get(2, "statement"), parameterised, place)


def describe(call: Call) -> Described:
    return described(call, is_given(call.get(3, "parameters")), call.get(4, "context"))


def describe_many(call: Call) -> Described:
    return with_batch(described(call, True, call.get(4, "context")), call.get(3, "parameters"))


def describe_plain(call: Call) -> Described:
    return described(call, False, call.get(3, "context"))


MANY = Target(CLIENT, describe_many, family="db", optional=True)
TARGETS = {
    "sqlalchemy.engine.default:DefaultDialect.do_execute": Target(CLIENT, describe, family="db"),
    "sqlalchemy.engine.default:DefaultDialect.do_executemany": Target(CLIENT, describe_many, family="db"),
    "sqlalchemy.engine.default:DefaultDialect.do_execute_no_params": Target(CLIENT, describe_plain, family="db"),
    # The dialects that have an executemany of their own.
    "sqlalchemy.dialects.postgresql.psycopg2:PGDialect_psycopg2.do_executemany": MANY,
    "sqlalchemy.dialects.mysql.mysqldb:MySQLDialect_mysqldb.do_executemany": MANY,
    "sqlalchemy.dialects.mssql.pyodbc:MSDialect_pyodbc.do_executemany": MANY,
    "sqlalchemy.dialects.oracle.cx_oracle:OracleDialect_cx_oracle.do_executemany": MANY,
}
