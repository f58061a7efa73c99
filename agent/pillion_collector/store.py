# SPDX-License-Identifier: Apache-2.0
"""The store of one node: OTLP bytes in, DuckDB rows out, one file a time partition, and SQL over all of them.

One writer thread owns every change (writer.py); queries run on the caller's thread with a cursor of their own
(readers.py). `append` answers with a future that resolves only after the commit is on disk.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import duckdb

from pillion_collector import damage
from pillion_collector.commit import Job
from pillion_collector.folder import Folder
from pillion_collector.marks import OF_RING
from pillion_collector.readers import Readers
from pillion_collector.store_types import (
    BadInput,
    Batch,
    EndRow,
    Kind,
    Mark,
    Outcome,
    PointRow,
    ResourceRow,
    StoreBusy,
    StoreError,
)
from pillion_collector.upkeep import Limits
from pillion_collector.waiting import Waiting
from pillion_collector.writer import Writer

__all__ = [
    "BadInput",
    "Batch",
    "EndRow",
    "Kind",
    "Mark",
    "Outcome",
    "PointRow",
    "ResourceRow",
    "Store",
    "StoreBusy",
    "StoreError",
]

_POINT_BYTES = 300  # about what a row of the collector's own takes in memory


class Store:
    """Thread-safe. Opening takes the folder's lock; a second process gets StoreError("locked", …)."""

    def __init__(
        self,
        path: str | Path,
        *,
        retention_age_s: float = 3 * 86400,
        retention_bytes: int = 10 << 30,
        queue_bytes: int = 64 << 20,
        memory_bytes: int = 160 << 20,
        threads: int = 2,
        reserve_bytes: int = 64 << 20,
        linger_s: float = 0.02,
    ) -> None:
        self._busy: Counter[str] = Counter()
        self._inspecting = threading.Lock()
        self._folder = Folder(Path(path).absolute())
        self._waiting = Waiting(queue_bytes, linger_s)
        self._readers = Readers(self._waiting.wake)
        limits = Limits(retention_age_s, retention_bytes, memory_bytes, threads, reserve_bytes)
        try:
            self._writer = Writer(self._folder, limits, self._waiting, self._readers)
        except duckdb.Error as error:
            self._folder.close()
            raise StoreError("io", f"--data {path} can't be opened: {error}") from error
        except BaseException:
            self._folder.close()
            raise

    def append(self, kind: Kind, body: bytes, batch: Batch | None = None) -> Future[Outcome]:
        """Queues one Export…ServiceRequest. Its future: Outcome after the commit, BadInput, StoreError(disk_full|io).

        `batch` says which spans these are: what was stored before is not stored again, and answered as before.
        Raises StoreBusy at once when the queue is full, StoreError("closed") after close().
        """
        return self._put(Job(len(body), kind, body, batch))

    def close_ring(self, ring: bytes, head: int) -> Future[Outcome]:
        """Its owner is gone: once the future is done, no batch of it is stored but adopted ones, and `mark` is final.

        `head` is the oldest record in it that the owner knew no answer to.
        """
        return self._put(Job(0, "traces", close=(ring, head)))

    def end_ring(self, end: EndRow, unfinished: bytes, metrics: Sequence[bytes]) -> Future[Outcome]:
        """The last word of an adopted ring, in one transaction: how it ended, what was under way, its metrics."""
        more: list[tuple[Kind, bytes]] = [("traces", unfinished), *(("metrics", body) for body in metrics)]
        return self._put(Job(sum(len(body) for _, body in more), "traces", more=more, end=end))

    def mark(self, ring: bytes) -> Mark | None:
        """How far a ring has come. Any thread."""
        mark = self._writer.marks.get(ring)
        if mark is None and self._writer.marks.forgot:
            rows = self.query(OF_RING, [ring])
            mark = Mark(*rows[0]) if rows else None
        return mark

    def append_points(self, points: Sequence[PointRow], resources: Iterable[ResourceRow] = ()) -> Future[Outcome]:
        """Stores the collector's own metrics, and the resources that they name and that no process sent."""
        named = tuple(resources)
        return self._put(Job((len(points) + len(named)) * _POINT_BYTES, points=tuple(points), resources=named))

    def _put(self, job: Job) -> Future[Outcome]:
        try:
            self._waiting.put(job)
        except StoreBusy:
            self._busy["busy"] += 1
            raise
        return job.future

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Runs SQL over the views spans, points, logs, resources, scopes. Any thread; sees every resolved append.

        Where it meets a damaged partition, that one is put aside and the query runs again without it.
        """
        try:
            return self._ask(sql, params)
        except duckdb.Error as error:
            if not damage.is_damage(error):
                raise
        with self._inspecting:
            with self._readers.cursor() as cursor:
                damaged = damage.find(cursor, self._writer.partition_names())
            if damaged:
                self._writer.put_aside(damaged)
        return self._ask(sql, params)

    def _ask(self, sql: str, params: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._readers.cursor() as cursor:
            return cursor.execute(sql, params).fetchall()

    def stats(self) -> dict[str, Any]:
        """What happened since the start, and how things are; `trouble` is None when all is well.

        stored, rejected: items by table; refused: requests by reason.
        """
        counts = self._writer.counts
        return {
            "stored": dict(counts.stored),
            "rejected": dict(counts.rejected),
            "refused": dict(counts.refused + self._busy),
            "queue": {"requests": len(self._waiting), "bytes": self._waiting.bytes},
            **self._writer.sizes(),
            "commits": counts.commits,
            "duplicates": counts.duplicates,
            "dropped_partitions": counts.dropped_partitions,
            "dropped_bytes": counts.dropped_bytes,
            "aside": list(counts.aside),
            "trouble": self._writer.trouble,
        }

    def close(self) -> None:
        """Commits what is queued, then lets go of the folder. Idempotent."""
        if self._waiting.close():
            self._writer.join()
            self._folder.close()
