# SPDX-License-Identifier: Apache-2.0
"""Time and space of an open store: when a new partition begins, when its log is emptied, what retention drops.

Only the writer's thread comes here. A partition that leaves is out of the views at once, and goes when the last query
that may still read it has ended; the writer never waits for that.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import duckdb

from pillion_collector import marks, schema
from pillion_collector.folder import Folder
from pillion_collector.partitions import Partition, Partitions, oldest_over
from pillion_collector.readers import Readers
from pillion_collector.store_types import StoreError

log = logging.getLogger("pillion.store")
_LOG_BYTES: Final = 32 << 20  # most rows are compressed once then, not twice; a restart replays as much


@dataclass(frozen=True)
class Limits:
    """The settings of a store."""

    retention_age_s: float
    retention_bytes: int
    memory_bytes: int
    threads: int
    reserve_bytes: int  # free space on the disk below which nothing is taken

    @property
    def partition_ns(self) -> int:
        """How long a partition is written, so that retention by age is 1/24 too late at most."""
        return int(min(max(self.retention_age_s / 24, 60), 6 * 3600) * 1e9)

    @property
    def partition_bytes(self) -> int:
        """How large it may grow."""
        return min(max(self.retention_bytes // 32, 1 << 20), 512 << 20)


@dataclass
class Counts:
    """What the writer has done since it started."""

    stored: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    duplicates: int = 0  # batches that came again after they were stored
    dropped_partitions: int = 0
    dropped_bytes: int = 0
    aside: list[str] = field(default_factory=list)  # files that could not be read


@dataclass(frozen=True)
class Leaving:
    """A partition that is out of the views since `generation`; `damage` says why it is put aside and not deleted."""

    generation: int
    partition: Partition
    damage: str = ""


class Upkeep:
    """Of one opened database; another one is made when it must be opened again."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, folder: Folder, limits: Limits, readers: Readers, counts: Counts
    ) -> None:
        self._connection, self._folder, self._limits = connection, folder, limits
        self._readers, self._counts = readers, counts
        self._leaving: list[Leaving] = []
        self.partitions = Partitions(folder.path, connection)
        self.partitions.open()
        counts.aside += self.partitions.aside
        connection.execute(schema.MACROS)

    def usable(self) -> bool:
        """After some errors DuckDB refuses a database until it is opened again."""
        try:
            for partition in self.partitions.all:
                self._connection.execute(f"SELECT version FROM {partition.name}.meta").fetchall()
        except duckdb.Error:
            return False
        return True

    def full(self, coming_bytes: int) -> StoreError | None:
        """Why so much more can't be stored, or None."""
        free, need = self._folder.free_bytes(), self._limits.reserve_bytes + 3 * coming_bytes
        if free >= need:
            return None
        return StoreError(
            "disk_full",
            f"the disk of --data {self._folder.path} has {free >> 10} KiB left and needs {need >> 10}:"
            " free some space, or lower --retention-bytes",
        )

    def turn(self) -> None:
        """Begins a new partition when the current one is old or large enough."""
        current, now = self.partitions.current, time.time_ns()
        if now - self._begun_ns(current) >= self._limits.partition_ns or current.bytes >= self._limits.partition_bytes:
            self._begin_next()

    def _begin_next(self) -> None:
        current = self.partitions.current
        if self._has_rows(current):
            self.partitions.begin()
            self.partitions.show()
            self._readers.next_generation()
            self.empty_log(current)

    def _begun_ns(self, partition: Partition) -> int:
        return int(self._connection.execute(f"SELECT created_ns FROM {partition.name}.meta").fetchall()[0][0])

    def _has_rows(self, partition: Partition) -> bool:
        count = " + ".join(f"(SELECT count(*) FROM {partition.name}.{table})" for table in schema.TABLES)
        return bool(self._connection.execute(f"SELECT {count}").fetchall()[0][0])

    def empty_log(self, partition: Partition) -> None:
        """Moves what was committed into the file itself. Without the room for it, the log is as good."""
        if self._folder.free_bytes() > partition.bytes_of_log + (1 << 20):
            marks.compact(self._connection, partition.name)
            self.partitions.checkpoint(partition)

    def tend(self) -> None:
        """What is due now: the log, retention, and letting go of what no query reads any more."""
        limits, now = self._limits, time.time_ns()
        age_ns = int(limits.retention_age_s * 1e9)
        if self.partitions.current.bytes_of_log >= _LOG_BYTES:
            self.empty_log(self.partitions.current)
        if self.partitions.current.newest_ns < now - age_ns:
            self._begin_next()
        dropped = oldest_over(self.partitions.all, now, age_ns, limits.retention_bytes)
        if dropped:
            self._take_out(dropped, "")
        self._let_go()

    def put_aside(self, damaged: dict[str, str]) -> None:
        """Takes damaged partitions out: alias -> what is wrong."""
        if self.partitions.current.name in damaged:
            self.partitions.begin()
        for partition in list(self.partitions.all):
            if partition.name in damaged:
                self._take_out([partition], damaged[partition.name])
                self._counts.aside.append(partition.path.name)
        self._let_go()

    def _take_out(self, partitions: list[Partition], damage: str) -> None:
        kept = [each for each in self.partitions.all if each not in partitions]
        if not damage:
            with contextlib.suppress(duckdb.Error):  # a full disk must not keep retention from making room
                for each in partitions:
                    marks.carry(self._connection, each.name, [one.name for one in kept])
        self.partitions.all = kept
        self.partitions.show()
        generation = self._readers.next_generation()
        self._leaving += [Leaving(generation, each, damage) for each in partitions]

    def _let_go(self) -> None:
        for leaving in list(self._leaving):
            if not self._readers.is_free(leaving.generation):
                continue
            self._leaving.remove(leaving)
            size = leaving.partition.bytes
            self.partitions.detach(leaving.partition)
            if leaving.damage:
                self.partitions.set_aside(leaving.partition, leaving.damage)
                continue
            self.partitions.unlink(leaving.partition)
            self._counts.dropped_partitions += 1
            self._counts.dropped_bytes += size
