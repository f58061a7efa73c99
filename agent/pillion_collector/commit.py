# SPDX-License-Identifier: Apache-2.0
"""One group of jobs to one transaction: decode, insert, commit. Only the writer's thread comes here."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import duckdb

from pillion_collector import schema
from pillion_collector.decode import DecodeError, Decoder, Table
from pillion_collector.marks import Marks, Turn
from pillion_collector.store_types import BadInput, Batch, EndRow, Kind, Outcome, PointRow, ResourceRow, StoreError


@dataclass
class Job:
    """Something to store: the body of a request, rows of the collector's own, or news of a ring."""

    bytes: int  # what it takes in the queue
    kind: Kind = "metrics"
    body: builtins.bytes | None = None
    batch: Batch | None = None  # what the body is a part of; stored once only
    more: Sequence[tuple[Kind, builtins.bytes]] = ()  # bodies that belong to it; a malformed one is left out
    close: tuple[builtins.bytes, int] | None = None  # a ring whose owner is gone, and its head
    end: EndRow | None = None
    points: Sequence[PointRow] = ()
    resources: Sequence[ResourceRow] = ()
    future: Future[Outcome] = field(default_factory=Future)

    @property
    def urgent(self) -> bool:
        """A step of an adoption, which the next one waits for."""
        return self.close is not None or self.end is not None or (self.batch is not None and self.batch.adopted)


class Committer:
    """Keeps a decoder for each kind of request, for its memory."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._decoders: dict[str, Decoder] = {kind: Decoder(kind) for kind in schema.ITEMS}

    def commit(
        self, connection: duckdb.DuckDBPyConnection, partition: str, jobs: Sequence[Job]
    ) -> list[Outcome | StoreError]:
        """One answer for each job, after the commit. Any exception: nothing at all was stored."""
        for decoder in self._decoders.values():
            decoder.clear()
        turn = self._marks.turn(connection)
        answers = [self._take(job, turn) for job in jobs]
        if any(len(decoder.items) for decoder in self._decoders.values()) or any(map(_writes, jobs)):
            self._write(connection, partition, jobs, turn)
        self._marks.settle(turn.changed)
        return answers

    def _write(self, connection: duckdb.DuckDBPyConnection, partition: str, jobs: Sequence[Job], turn: Turn) -> None:
        connection.begin()
        try:
            for kind, decoder in self._decoders.items():
                _insert(connection, partition, schema.ITEMS[kind], decoder)
            for job in jobs:
                _insert_rows(connection, partition, job)
            _insert_ends(connection, partition, [job.end for job in jobs if job.end is not None])
            turn.save(partition)
            connection.commit()
        except BaseException:
            _roll_back(connection)
            raise

    def _take(self, job: Job, turn: Turn) -> Outcome | StoreError:
        """What will be the answer, and the rows into the decoders."""
        if job.close is not None:
            turn.close(*job.close)
        if job.batch is not None and (known := turn.known(job.batch)) is not None:
            return known
        outcome = self._decode(job)
        if job.batch is not None:
            if isinstance(outcome, Outcome):
                turn.stored(job.batch, outcome)
            elif job.batch.adopted:  # nobody else will ever take it: go on behind it
                outcome = Outcome(0, job.batch.spans, str(outcome))
                turn.stored(job.batch, outcome)
        for kind, body in job.more:
            with contextlib.suppress(DecodeError):
                self._decoders[kind].append(body)
        return outcome

    def _decode(self, job: Job) -> Outcome | BadInput:
        if job.body is None:
            return Outcome(len(job.points), 0, "")
        try:
            return Outcome(*self._decoders[job.kind].append(job.body))
        except DecodeError as error:
            return BadInput(str(error))


def _writes(job: Job) -> bool:
    return bool(job.points or job.resources or job.end is not None or job.batch is not None)


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    with contextlib.suppress(duckdb.Error):  # a failed commit has ended the transaction already
        connection.rollback()


def _insert(connection: duckdb.DuckDBPyConnection, partition: str, items: str, decoder: Decoder) -> None:
    _insert_table(connection, f"INSERT INTO {partition}.{items} BY NAME SELECT * FROM arriving", decoder.items)
    for table, column, rows in (
        ("resources", "resource_id", decoder.resources),
        ("scopes", "scope_id", decoder.scopes),
    ):
        known = f"SELECT {column} FROM {partition}.{table}"
        _insert_table(
            connection,
            f"INSERT INTO {partition}.{table} BY NAME SELECT * FROM arriving WHERE {column} NOT IN ({known})",
            rows,
        )


def _insert_table(connection: duckdb.DuckDBPyConnection, sql: str, rows: Table) -> None:
    if len(rows) == 0:
        return
    connection.register("arriving", rows)
    try:
        connection.execute(sql)
    finally:
        connection.unregister("arriving")


_OF_RESOURCES = ("resource_id", "service", "instance", "pid")
_AS_THEY_ARE = tuple(name for name in PointRow._fields if name not in ("value", "attributes"))


def _insert_rows(connection: duckdb.DuckDBPyConnection, partition: str, job: Job) -> None:
    if job.resources:
        rows = {row.resource_id: row for row in job.resources}.values()
        parameters = {name: [getattr(row, name) for row in rows] for name in _OF_RESOURCES}
        maps = _maps(row.attributes for row in rows)
        connection.execute(schema.INSERT_RESOURCES.format(partition=partition), {**parameters, **maps})
    if job.points:
        parameters = {name: [getattr(row, name) for row in job.points] for name in _AS_THEY_ARE}
        values = [row.value for row in job.points]
        parameters["value_int"] = [value if isinstance(value, int) else None for value in values]
        parameters["value_double"] = [value if isinstance(value, float) else None for value in values]
        maps = _maps(row.attributes or {} for row in job.points)
        connection.execute(schema.INSERT_POINTS.format(partition=partition), {**parameters, **maps})


def _insert_ends(connection: duckdb.DuckDBPyConnection, partition: str, ends: Sequence[EndRow]) -> None:
    if ends:
        one = f"({', '.join('?' * len(EndRow._fields))})"
        values = [value for end in ends for value in end]
        connection.execute(f"INSERT INTO {partition}.ends VALUES {', '.join([one] * len(ends))}", values)


def _maps(attributes: Iterable[dict[str, str]]) -> dict[str, list[Any]]:
    maps = list(attributes)
    return {"keys": [list(one) for one in maps], "values": [list(one.values()) for one in maps]}
