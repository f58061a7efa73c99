# SPDX-License-Identifier: Apache-2.0
"""The files of a store: one DuckDB file a stretch of time, all attached to one connection, shown as one by views.

Only the newest is written. Retention drops whole files, so that the disk is free at once. A file that can't be read is
put into `aside/` and the rest goes on. Only the writer's thread changes anything here.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from pillion_collector import damage, schema
from pillion_collector.store_types import StoreError

log = logging.getLogger("pillion.store")
_SUFFIX: Final = ".duckdb"


@dataclass
class Partition:
    """One file. `name` is its alias in SQL."""

    name: str
    path: Path
    newest_ns: int  # arrival of the last thing that was written

    @property
    def wal(self) -> Path:
        """What DuckDB has not yet moved into the file."""
        return self.path.with_name(self.path.name + ".wal")

    @property
    def bytes_of_log(self) -> int:
        """What a restart would have to replay."""
        return _size(self.wal)

    @property
    def bytes(self) -> int:
        """On disk now."""
        return _size(self.path) + self.bytes_of_log


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Partitions:
    """The partitions of one folder, oldest first; the last one is the current one."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._folder = folder
        self._connection = connection
        self._number = 0
        self.all: list[Partition] = []
        self.aside: list[str] = []

    @property
    def current(self) -> Partition:
        """The one that is written."""
        return self.all[-1]

    def open(self) -> None:
        """Attaches what is there, and starts a first one where nothing is."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            partition = Partition("", path, path.stat().st_mtime_ns)
            self._number = max(self._number, _number(path))
            if self._attach_or_set_aside(partition):
                self.all.append(partition)
        if not self.all:
            self.begin()
        self.show()

    def begin(self, created_ns: int | None = None) -> None:
        """Starts a new current partition; the caller shows it."""
        created_ns = time.time_ns() if created_ns is None else created_ns
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(created_ns / 1e9))
        path = self._folder / f"{self._number + 1:06}-{stamp}{_SUFFIX}"
        partition = Partition("", path, created_ns)
        try:
            self._attach(partition)
            self._connection.begin()
            for statement in schema.create(partition.name, created_ns):
                self._connection.execute(statement)
            self._connection.commit()
        except duckdb.Error:
            self._forget_unborn(partition)
            raise
        self._number += 1
        self.all.append(partition)

    def _forget_unborn(self, partition: Partition) -> None:
        for undo in (self._connection.rollback, lambda: self.detach(partition)):
            try:
                undo()
            except duckdb.Error:
                log.debug("a partition that could not be made", exc_info=True)
        self.unlink(partition)

    def show(self) -> None:
        """Makes the views show what is in `all`."""
        for statement in schema.views([partition.name for partition in self.all]):
            self._connection.execute(statement)

    def checkpoint(self, partition: Partition) -> None:
        """Moves what is in the log into the file itself. An error loses nothing, but may make it unusable."""
        self._connection.execute(f"CHECKPOINT {partition.name}")

    def detach(self, partition: Partition) -> None:
        """Lets go of the file. Nobody may be reading it."""
        self._connection.execute(f"DETACH {partition.name}")

    def unlink(self, partition: Partition) -> None:
        """Gives its disk space back."""
        for path in (partition.path, partition.wal):
            path.unlink(missing_ok=True)

    def set_aside(self, partition: Partition, why: str) -> None:
        """Moves a file that can't be read where it does no harm."""
        aside = self._folder / "aside"
        aside.mkdir(mode=0o700, exist_ok=True)
        for path in (partition.path, partition.wal):
            if path.exists():
                os.replace(path, aside / path.name)
        log.error("%s can't be read and was moved to %s; everything else is kept. %s", partition.path.name, aside, why)

    def _attach(self, partition: Partition) -> None:
        partition.name = f"p{_number(partition.path):06}"
        quoted = str(partition.path).replace("'", "''")
        self._connection.execute(f"ATTACH '{quoted}' AS {partition.name}")

    def _attach_or_set_aside(self, partition: Partition) -> bool:
        try:
            self._attach(partition)
        except duckdb.Error as error:
            why = str(error).splitlines()[0]
            _blame_others(partition.path, error, why)
            self.set_aside(partition, why)
            self.aside.append(partition.path.name)
            return False
        return self._complete(partition)

    def _complete(self, partition: Partition) -> bool:
        """False: the process died while it made this file, so nothing was ever stored in it."""
        if "meta" in self._tables(partition):
            (version,) = self._connection.execute(f"SELECT version FROM {partition.name}.meta").fetchall()[0]
            if version > schema.VERSION:
                raise newer(partition.path, version)
            if version < schema.VERSION:
                self._upgrade(partition, version)
            return True
        self.detach(partition)
        self.unlink(partition)
        return False

    def _upgrade(self, partition: Partition, version: int) -> None:
        self._connection.begin()
        for statement in schema.upgrade(partition.name, version):
            self._connection.execute(statement)
        self._connection.commit()

    def _tables(self, partition: Partition) -> set[str]:
        found = self._connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = ?", [partition.name]
        )
        return {row[0] for row in found.fetchall()}


def _number(path: Path) -> int:
    head = path.name.partition("-")[0]
    return int(head) if head.isdigit() else 0


def newer(path: Path, version: int) -> StoreError:
    """The error of a store that a later pillion wrote."""
    return StoreError(
        "newer",
        f"{path} was written by a newer pillion (store version {version}, this one knows {schema.VERSION}):"
        " upgrade pillion, or name another folder with --data; nothing was changed",
    )


def _blame_others(path: Path, error: duckdb.Error, why: str) -> None:
    """Raises unless the file itself is damaged: whatever else it is, touch nothing and say so."""
    text = why.lower()
    if "newer version of duckdb" in text or "storage version" in text:
        raise StoreError("newer", f"{path} was written by a newer DuckDB: upgrade duckdb, or use another --data. {why}")
    if "could not set lock" in text:
        raise StoreError("locked", f"{path} is open in another program: end it, or name another folder with --data")
    if not damage.is_damage(error):
        raise StoreError("io", f"{path} can't be opened: {why}")


def oldest_over(partitions: Iterable[Partition], now_ns: int, age_ns: int, limit_bytes: int) -> list[Partition]:
    """Which partitions retention drops; never the last one."""
    kept = list(partitions)
    total = sum(partition.bytes for partition in kept)
    dropped: list[Partition] = []
    while len(kept) > 1 and (kept[0].newest_ns < now_ns - age_ns or total > limit_bytes):
        total -= kept[0].bytes
        dropped.append(kept.pop(0))
    return dropped
