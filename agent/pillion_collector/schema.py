# SPDX-License-Identifier: Apache-2.0
"""What lies in a partition, and how all partitions look as one: tables, views, and the version of both.

Spans keep their attributes as a list of (key, value), for when DuckDB takes over a MAP it proves its keys unique, at
half a microsecond a key, and the decoder has done that already. The view `spans` has both: `attributes`, a MAP made on
reading (fine for some thousand rows), and `entries`, the list itself: to filter many rows, say
attribute(entries, 'http.route') = '"/cart"'. A value is the JSON text of a typed value, see native/decode_json.h.
`marks` has one row each time a ring came further (marks.py), `ends` one for each ring that was adopted (ends.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

VERSION: Final = 2  # of the tables below; a store with a higher one is left alone

_MAP = "MAP(VARCHAR, VARCHAR)"
_ID = "BLOB USING COMPRESSION uncompressed"  # random: looking for what repeats took a fifth of the insert, for nothing
TABLES: Final = {
    "spans": f"""trace_id {_ID}, span_id {_ID}, parent_id {_ID}, tracestate VARCHAR, flags UINTEGER, name VARCHAR,
        kind UTINYINT, start_ns BIGINT, duration_ns BIGINT, status UTINYINT, status_message VARCHAR, service VARCHAR,
        resource_id UBIGINT, scope_id UBIGINT, entries STRUCT(key VARCHAR, "value" VARCHAR)[], events VARCHAR,
        links VARCHAR, dropped_attributes UINTEGER, dropped_events UINTEGER, dropped_links UINTEGER""",
    "points": f"""time_ns BIGINT, start_ns BIGINT, resource_id UBIGINT, scope_id UBIGINT, name VARCHAR,
        description VARCHAR, unit VARCHAR, kind UTINYINT, temporality UTINYINT, monotonic BOOLEAN, attributes {_MAP},
        flags UINTEGER, value_double DOUBLE, value_int BIGINT, count UBIGINT, sum DOUBLE, min DOUBLE, max DOUBLE,
        detail VARCHAR""",
    "logs": f"""time_ns BIGINT, observed_ns BIGINT, severity UTINYINT, severity_text VARCHAR, body VARCHAR,
        event_name VARCHAR, trace_id BLOB, span_id BLOB, flags UINTEGER, resource_id UBIGINT, scope_id UBIGINT,
        attributes {_MAP}, dropped UINTEGER""",
    "resources": f"""resource_id UBIGINT, service VARCHAR, instance VARCHAR, pid BIGINT, attributes {_MAP},
        schema_url VARCHAR, dropped UINTEGER""",
    "scopes": f"""scope_id UBIGINT, name VARCHAR, version VARCHAR, attributes {_MAP}, schema_url VARCHAR,
        dropped UINTEGER""",
    "marks": """ring BLOB, start_pos UBIGINT, end_pos UBIGINT, spans UBIGINT, rejected UBIGINT, closed BOOLEAN,
        adopted_pos UBIGINT, time_ns BIGINT, duplicates UBIGINT""",
    "ends": """ring BLOB, time_ns BIGINT, process VARCHAR, pid BIGINT, service VARCHAR, instance VARCHAR,
        command VARCHAR, began_ns BIGINT, exit VARCHAR, orderly BOOLEAN, crash BOOLEAN, recorded UBIGINT,
        stored UBIGINT, dropped VARCHAR, flights VARCHAR, duplicates UBIGINT""",
}
_SINCE: Final = {2: ("marks", "ends")}  # version -> the tables it brought
ITEMS: Final = {"traces": "spans", "metrics": "points", "logs": "logs"}  # kind of request -> its table of items
_COLUMNS = {"spans": "*, map_from_entries(entries) AS attributes"}
_ONE_ROW_EACH = {"resources": "resource_id", "scopes": "scope_id"}  # repeated in every partition that needs them

MACROS: Final = (
    "CREATE OR REPLACE MACRO attribute(entries, wanted) AS"
    " list_extract(list_filter(entries, lambda entry: entry.key = wanted), 1)['value']"
)

# The collector's own points arrive as one list a column.
INSERT_POINTS: Final = """INSERT INTO {partition}.points BY NAME SELECT
    unnest($time_ns::BIGINT[]) AS time_ns, unnest($start_ns::BIGINT[]) AS start_ns,
    unnest($resource_id::UBIGINT[]) AS resource_id, 0 AS scope_id, unnest($name::VARCHAR[]) AS name,
    unnest($description::VARCHAR[]) AS description, unnest($unit::VARCHAR[]) AS unit,
    unnest($kind::UTINYINT[]) AS kind, unnest($temporality::UTINYINT[]) AS temporality,
    unnest($monotonic::BOOLEAN[]) AS monotonic,
    map(unnest($keys::VARCHAR[][]), unnest($values::VARCHAR[][])) AS attributes, 0 AS flags,
    unnest($value_double::DOUBLE[]) AS value_double, unnest($value_int::BIGINT[]) AS value_int"""
INSERT_RESOURCES: Final = """INSERT INTO {partition}.resources BY NAME SELECT * FROM (SELECT
    unnest($resource_id::UBIGINT[]) AS resource_id, unnest($service::VARCHAR[]) AS service,
    unnest($instance::VARCHAR[]) AS instance, unnest($pid::BIGINT[]) AS pid,
    map(unnest($keys::VARCHAR[][]), unnest($values::VARCHAR[][])) AS attributes, '' AS schema_url, 0 AS dropped)
    WHERE resource_id NOT IN (SELECT resource_id FROM {partition}.resources)"""


def create(partition: str, created_ns: int) -> Iterable[str]:
    """The statements that make an attached, empty file a partition; `meta` comes last and says that all are there."""
    for table, columns in TABLES.items():
        yield f"CREATE TABLE {partition}.{table} ({columns})"
    yield f"CREATE TABLE {partition}.meta AS SELECT {VERSION}::UINTEGER AS version, {created_ns}::BIGINT AS created_ns"


def upgrade(partition: str, version: int) -> Iterable[str]:
    """The statements that make a partition of an older version one of this; nothing that is stored changes."""
    for later in range(version + 1, VERSION + 1):
        for table in _SINCE[later]:
            yield f"CREATE TABLE {partition}.{table} ({TABLES[table]})"
    yield f"UPDATE {partition}.meta SET version = {VERSION}"


def views(partitions: list[str]) -> Iterable[str]:
    """The statements that make the views show these partitions and no other."""
    for table in TABLES:
        rows = " UNION ALL ".join(f"SELECT * FROM {partition}.{table}" for partition in partitions)
        if table in _ONE_ROW_EACH:
            yield f"CREATE OR REPLACE VIEW {table} AS SELECT DISTINCT ON ({_ONE_ROW_EACH[table]}) * FROM ({rows})"
        else:
            yield f"CREATE OR REPLACE VIEW {table} AS SELECT {_COLUMNS.get(table, '*')} FROM ({rows})"
