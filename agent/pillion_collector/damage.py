# SPDX-License-Identifier: Apache-2.0
"""Blocks of a partition that can't be read: DuckDB finds them by their checksums, when a query comes to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb

from pillion_collector import schema

_SIGNS: Final = (
    "corrupt",
    "checksum",
    "could not read enough bytes",
    "not a valid duckdb database file",
    "replaying wal",
    "serialization error",
)


def is_damage(error: Exception) -> bool:
    """Does this error of a query come from a damaged file?"""
    text = str(error).lower()
    return isinstance(error, duckdb.Error) and any(sign in text for sign in _SIGNS)


def find(cursor: duckdb.DuckDBPyConnection, partitions: Iterable[str]) -> dict[str, str]:
    """Reads everything; which partitions are damaged, and how. Slow, and only done when there is a reason."""
    found: dict[str, str] = {}
    for partition in partitions:
        try:
            for table in schema.TABLES:
                cursor.execute(f"SELECT max(hash(COLUMNS(*))) FROM {partition}.{table}").fetchall()
        except duckdb.Error as error:
            if is_damage(error):
                found[partition] = str(error).splitlines()[0]
    return found
