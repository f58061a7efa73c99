# SPDX-License-Identifier: Apache-2.0
"""The one thread that changes the store: group commit, a new partition when it is time, retention, and recovery.

Trouble with the disk never ends it: what can't be stored is answered with a StoreError, so that the sender keeps it and
comes again, and the next group tries anew. A database that DuckDB declares unusable after an error is opened again.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb

from pillion_collector import schema
from pillion_collector.commit import Committer, Job
from pillion_collector.folder import Folder
from pillion_collector.partitions import Partition, Partitions, oldest_over
from pillion_collector.readers import Readers
from pillion_collector.store_types import Outcome, StoreError
from pillion_collector.waiting import Waiting

log = logging.getLogger("pillion.store")
_TICK_S: Final = 1.0
_INTERRUPT_S: Final = 5.0  # how long a query may go on when the database must be opened again


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
    dropped_partitions: int = 0
    dropped_bytes: int = 0


class Writer:
    """Opens the database, then runs until the queue is closed. `trouble` says what is wrong now, or None."""

    def __init__(self, folder: Folder, limits: Limits, waiting: Waiting, readers: Readers) -> None:
        self._folder, self._limits, self._waiting, self._readers = folder, limits, waiting, readers
        self._committer = Committer()
        self._leaving: list[tuple[int, Partition]] = []
        self.counts = Counts()
        self.trouble: str | None = None
        self.aside: list[str] = []
        _keep_memory()
        self._open()
        self._thread = threading.Thread(target=self._run, name="pillion-store", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the end, after the queue was closed."""
        self._thread.join()

    def sizes(self) -> dict[str, int]:
        """Of the files; from any thread."""
        partitions = list(self.partitions.all)
        return {"bytes": sum(partition.bytes for partition in partitions), "partitions": len(partitions)}

    # --- opening

    def _open(self) -> None:
        limits, temporary = self._limits, self._folder.path / "tmp"
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{limits.memory_bytes // 1000}KB",
                "threads": limits.threads,
                "temp_directory": str(temporary),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self.partitions = Partitions(self._folder.path, self._connection)
        try:
            self.partitions.open()
            self._connection.execute(schema.MACROS)
        except BaseException:
            self._connection.close()
            raise
        self.aside += self.partitions.aside
        self._readers.open(self._connection)

    def _open_again(self) -> None:
        """After DuckDB declared the database unusable: everything committed is in the files."""
        self._readers.close(_INTERRUPT_S)
        self._leaving.clear()  # retention will find them again
        try:
            self._connection.close()
            self._open()
        except (duckdb.Error, OSError, StoreError) as error:
            self.trouble = f"the store can't be opened again: {_first_line(error)}"
            log.error(self.trouble)

    def _usable(self) -> bool:
        try:
            self._connection.execute(f"SELECT version FROM {self.partitions.current.name}.meta").fetchall()
        except duckdb.Error:
            return False
        return True

    # --- the thread

    def _run(self) -> None:
        while (jobs := self._waiting.take(_TICK_S)) is not None:
            try:
                if jobs:
                    self._group(jobs)
                self._tend()
            except Exception as error:  # nothing may end this thread: say it, and go on
                log.exception("the store's writer")
                self._answer_all(jobs, StoreError("io", _first_line(error)))
        try:
            self.partitions.seal(self.partitions.current)
            self._readers.close(_INTERRUPT_S)
            self._connection.close()
        except duckdb.Error as error:
            log.error("closing the store: %s", _first_line(error))

    def _group(self, jobs: Sequence[Job]) -> None:
        full = self._full(sum(job.bytes for job in jobs))
        if full:
            self._fail(jobs, full)
            return
        try:
            self._turn()
            answers = self._committer.commit(self._connection, self.partitions.current.name, jobs)
        except (duckdb.Error, OSError, MemoryError) as error:
            self._after_error(jobs, error)
            return
        self.partitions.current.newest_ns = time.time_ns()
        self.counts.commits += 1
        self.trouble = None
        for job, answer in zip(jobs, answers, strict=True):
            self._answer(job, answer)

    def _full(self, coming_bytes: int) -> StoreError | None:
        free, need = self._folder.free_bytes(), self._limits.reserve_bytes + 3 * coming_bytes
        if free >= need:
            return None
        return StoreError(
            "disk_full",
            f"the disk of --data {self._folder.path} has {free >> 20} MiB left and needs {need >> 20}:"
            " free some space, or lower --retention-bytes",
        )

    def _after_error(self, jobs: Sequence[Job], error: Exception) -> None:
        """Finds out whose fault it was: the disk's (all come again later), or one request's (it alone is refused)."""
        text = _first_line(error)
        disk_full = "no space left" in text.lower() or self._full(0) is not None
        if not self._usable():
            self._open_again()
        elif not disk_full and not isinstance(error, (OSError, duckdb.IOException)) and len(jobs) > 1:
            for job in jobs:
                self._group([job])
            return
        log.error("storing failed: %s", text)
        self._fail(jobs, StoreError("disk_full" if disk_full else "io", f"--data {self._folder.path}: {text}"))

    def _fail(self, jobs: Sequence[Job], error: StoreError) -> None:
        if self.trouble is None:
            log.error("%s", error)
        self.trouble = str(error)
        self._answer_all(jobs, error)

    def _answer_all(self, jobs: Sequence[Job], error: StoreError) -> None:
        for job in jobs:
            self._answer(job, error)

    def _answer(self, job: Job, answer: Outcome | StoreError) -> None:
        items = schema.ITEMS[job.kind]
        try:
            if isinstance(answer, Outcome):
                self.counts.stored[items] += answer.accepted
                self.counts.rejected[items] += answer.rejected
                job.future.set_result(answer)
            else:
                self.counts.refused[answer.kind] += 1
                job.future.set_exception(answer)
        except InvalidStateError:
            pass  # cancelled, or answered before the trouble came

    # --- time and space

    def _turn(self) -> None:
        """Begins a new partition when the current one is old or large enough."""
        current, now = self.partitions.current, time.time_ns()
        if now - self._begun_ns(current) >= self._limits.partition_ns or current.bytes >= self._limits.partition_bytes:
            self._begin_next()

    def _begin_next(self) -> None:
        current = self.partitions.current
        if self._has_rows(current):
            self.partitions.begin(time.time_ns())
            self.partitions.show()
            self._readers.next_generation()
            self.partitions.seal(current)

    def _begun_ns(self, partition: Partition) -> int:
        return int(self._connection.execute(f"SELECT created_ns FROM {partition.name}.meta").fetchall()[0][0])

    def _has_rows(self, partition: Partition) -> bool:
        count = " + ".join(f"(SELECT count(*) FROM {partition.name}.{table})" for table in schema.TABLES)
        return bool(self._connection.execute(f"SELECT {count}").fetchall()[0][0])

    def _tend(self) -> None:
        """Retention, and letting go of what no query reads any more."""
        limits, now = self._limits, time.time_ns()
        age_ns = int(limits.retention_age_s * 1e9)
        current = self.partitions.current
        try:
            if current.newest_ns < now - age_ns:
                self._begin_next()
            dropped = oldest_over(self.partitions.all, now, age_ns, limits.retention_bytes)
            if dropped:
                del self.partitions.all[: len(dropped)]
                self.partitions.show()
                generation = self._readers.next_generation()
                self._leaving += [(generation, partition) for partition in dropped]
            self._let_go()
        except (duckdb.Error, OSError) as error:
            log.error("retention: %s", _first_line(error))
            if not self._usable():
                self._open_again()
        if self.trouble and not self._full(0) and self._usable():
            self.trouble = None

    def _let_go(self) -> None:
        for entry in list(self._leaving):
            generation, partition = entry
            if self._readers.is_free(generation):
                size = partition.bytes
                self._leaving.remove(entry)
                self.partitions.detach(partition)
                self.partitions.unlink(partition)
                self.counts.dropped_partitions += 1
                self.counts.dropped_bytes += size


def _first_line(error: BaseException) -> str:
    lines: list[Any] = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _keep_memory() -> None:
    """Tells glibc not to give every large block back at once: a fifth of the writer's time went into fresh pages."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, its highest
        mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD
