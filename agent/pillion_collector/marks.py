# SPDX-License-Identifier: Apache-2.0
"""Marks: how far each ring has come, so that what was stored is never stored again, whoever sends it again and when.

A batch of spans is the stretch [start, end) of its ring, and at most one is under way: the last one that was committed
is all there is to know. A mark is written in the transaction of its spans; in memory lie the newest ones (about 300
bytes each). Only the writer's thread changes anything; `get` may be called from any.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Final

import duckdb

from pillion_collector.store_types import Batch, Mark, Outcome, StoreError

RINGS: Final = 100_000  # in memory
_LATE_NS: Final = 3600 * 10**9  # no batch of a closed ring comes later than that
_IDLE_NS: Final = 30 * 86400 * 10**9  # a ring of which nothing came for so long is forgotten with its partition
_HEADER: Final = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{16})")
OF_RING: Final = "SELECT * EXCLUDE (ring) FROM marks WHERE ring = ? ORDER BY time_ns DESC LIMIT 1"
_NEW: Final = Mark(0, 0, 0, 0, False, None, 0)
_NEWEST: Final = """SELECT ring, start_pos, end_pos, spans, rejected, closed, adopted_pos, time_ns, duplicates
    FROM {table}
    QUALIFY row_number() OVER (PARTITION BY ring ORDER BY time_ns DESC) = 1 ORDER BY time_ns DESC"""
# One list a column takes a third of the time that literals take.
_INSERT: Final = """INSERT INTO {partition}.marks SELECT unnest(?::BLOB[]), unnest(?::UBIGINT[]), unnest(?::UBIGINT[]),
    unnest(?::UBIGINT[]), unnest(?::UBIGINT[]), unnest(?::BOOLEAN[]), unnest(?::UBIGINT[]), unnest(?::BIGINT[]),
    unnest(?::UBIGINT[])"""
_COMPACT: Final = """DELETE FROM {table} USING (SELECT ring AS known, max(time_ns) AS newest FROM {table} GROUP BY ring)
    WHERE ring = known AND time_ns < newest"""
_CARRY: Final = """INSERT INTO {into}.marks SELECT * FROM {out}.marks WHERE ring NOT IN ({later})
    AND ring NOT IN (SELECT ring FROM ends) AND time_ns > {since}
    QUALIFY row_number() OVER (PARTITION BY ring ORDER BY time_ns DESC) = 1"""


def parse(header: str) -> Batch | None:
    """The identity that a sender tells as `pillion-batch`; None when it is malformed."""
    match = _HEADER.fullmatch(header)
    return Batch(bytes.fromhex(match[1]), int(match[2], 16), int(match[3], 16)) if match else None


class Marks:
    """The marks of an open store."""

    def __init__(self, limit: int = RINGS) -> None:
        self._limit = limit
        self._known: dict[bytes, Mark] = {}  # the one that changed last comes last
        self._forgot = False
        self._time_ns = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def forgot(self) -> bool:
        """Whether the files know more rings than memory has room for."""
        return self._forgot

    def get(self, ring: bytes) -> Mark | None:
        """What memory knows of a ring; from any thread."""
        return self._known.get(ring)

    def load(self, connection: duckdb.DuckDBPyConnection, partitions: Iterable[str]) -> None:
        """What the partitions tell, the newest ones first; the later word on a ring counts."""
        found: dict[bytes, Mark] = {}
        now = time.time_ns()
        for partition in reversed(list(partitions)):
            for ring, *rest in connection.execute(_NEWEST.format(table=f"{partition}.marks")).fetchall():
                mark = Mark(*rest)
                self._time_ns = max(self._time_ns, mark.time_ns)
                if len(found) < self._limit and not (mark.closed and mark.time_ns < now - _LATE_NS):
                    found.setdefault(ring, mark)
                elif ring not in found:
                    self._forgot = True
        late = {
            ring: mark for ring, mark in self._known.items() if ring not in found or found[ring].time_ns <= mark.time_ns
        }
        self._known = {**dict(reversed(found.items())), **late}

    def turn(self, connection: duckdb.DuckDBPyConnection) -> Turn:
        """The marks of one transaction."""
        return Turn(self, connection)

    def look(self, ring: bytes, connection: duckdb.DuckDBPyConnection) -> Mark | None:
        """The same as `get`, for the writer's thread; also what memory has no room for."""
        mark = self._known.get(ring)
        if mark is None and self._forgot:
            rows = connection.execute(OF_RING, [ring]).fetchall()
            mark = Mark(*rows[0]) if rows else None
        return mark

    def settle(self, changed: dict[bytes, Mark]) -> None:
        """What was committed is known from now on."""
        for ring, mark in changed.items():
            self._known.pop(ring, None)
            self._known[ring] = mark
        while len(self._known) > self._limit:
            del self._known[next(iter(self._known))]
            self._forgot = True

    def next_ns(self) -> int:
        """Now, and later than any mark: the newest of a ring is the one with the highest time."""
        self._time_ns = max(time.time_ns(), self._time_ns + 1)
        return self._time_ns


class Turn:
    """What one group of jobs changes. Nothing of it is known before the commit: `Marks.settle(turn.changed)`."""

    def __init__(self, marks: Marks, connection: duckdb.DuckDBPyConnection) -> None:
        self._marks, self._connection = marks, connection
        self._unsaved: set[bytes] = set()
        self.changed: dict[bytes, Mark] = {}

    def known(self, batch: Batch) -> Outcome | StoreError | None:
        """The answer to a batch that must not be stored; None: store it."""
        mark = self._now(batch.ring)
        if batch.adopted:
            if mark.closed and mark.adopted == batch.after:
                return None
            return StoreError("order", "this ring's adoption stands elsewhere by now")
        if not mark.closed and not (mark.time_ns and mark.start == batch.start):
            return None
        self.changed[batch.ring] = mark._replace(duplicates=mark.duplicates + 1)
        return Outcome(0, 0 if mark.closed else mark.rejected, "", duplicate=True)

    def stored(self, batch: Batch, outcome: Outcome) -> None:
        """This batch will be committed."""
        mark = self._now(batch.ring)
        spans, now = mark.spans + outcome.accepted, self._marks.next_ns()
        if batch.adopted:
            mark = mark._replace(spans=spans, rejected=mark.rejected + outcome.rejected, adopted=batch.end, time_ns=now)
        else:
            mark = Mark(batch.start, batch.end, spans, outcome.rejected, False, None, now, mark.duplicates)
        self.changed[batch.ring] = mark
        self._unsaved.add(batch.ring)

    def close(self, ring: bytes, head: int) -> None:
        """No batch of the owner is stored any more. `head`: the oldest record that the owner knew no answer to.

        This need not last: without the collector its connections are gone as well. `rejected` goes on as what the owner
        has not counted itself.
        """
        mark = self._now(ring)
        if not mark.closed:
            rejected = mark.rejected if mark.start == head else 0
            self.changed[ring] = mark._replace(closed=True, rejected=rejected, time_ns=self._marks.next_ns())

    def save(self, partition: str) -> None:
        """Into the transaction that is open."""
        if self._unsaved:
            rows = [(ring, *self.changed[ring]) for ring in self._unsaved]
            self._connection.execute(
                _INSERT.format(partition=partition), [list(column) for column in zip(*rows, strict=True)]
            )

    def _now(self, ring: bytes) -> Mark:
        return self.changed.get(ring) or self._marks.look(ring, self._connection) or _NEW


def compact(connection: duckdb.DuckDBPyConnection, partition: str) -> None:
    """Leaves one row a ring."""
    connection.execute(_COMPACT.format(table=f"{partition}.marks"))


def carry(connection: duckdb.DuckDBPyConnection, out: str, later: list[str]) -> None:
    """Before a partition goes: what it alone knows of rings without an end moves to the last of the later ones."""
    known = " UNION ALL ".join(f"SELECT ring FROM {one}.marks" for one in later)
    connection.execute(_CARRY.format(into=later[-1], out=out, later=known, since=time.time_ns() - _IDLE_NS))
