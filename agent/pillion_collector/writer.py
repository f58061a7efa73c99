# SPDX-License-Identifier: Apache-2.0
"""The one thread that changes the store: takes what waits, commits it as a group, answers, then looks after the files.

Trouble with the disk never ends it: what can't be stored is answered with a StoreError, so that the sender keeps it and
comes again, and the next group tries anew. A database that DuckDB declares unusable after an error is opened again.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import InvalidStateError
from typing import Any, Final

import duckdb

from pillion_collector import schema
from pillion_collector.commit import Committer, Job
from pillion_collector.damage import is_damage
from pillion_collector.folder import Folder
from pillion_collector.marks import Marks
from pillion_collector.readers import Readers
from pillion_collector.store_types import Outcome, StoreError
from pillion_collector.upkeep import Counts, Limits, Upkeep
from pillion_collector.waiting import Waiting

log = logging.getLogger("pillion.store")
_TICK_S: Final = 1.0
_INTERRUPT_S: Final = 5.0  # how long a query may go on when the database must be opened again
_AGAIN_S: Final = 30.0  # how long a query waits for damaged partitions to be taken out


class Writer:
    """Opens the database, then runs until the queue is closed. `trouble` says what is wrong now, or None."""

    def __init__(self, folder: Folder, limits: Limits, waiting: Waiting, readers: Readers) -> None:
        self._folder, self._limits, self._waiting, self._readers = folder, limits, waiting, readers
        self.marks = Marks()
        self._committer = Committer(self.marks)
        self._damaged: list[tuple[dict[str, str], threading.Event]] = []
        self.counts = Counts()
        self.trouble: str | None = None
        self._wanted = 0  # bytes that the disk had no room for when it was called full
        _keep_memory()
        self._open()
        self._thread = threading.Thread(target=self._run, name="pillion-store", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the end, after the queue was closed."""
        self._thread.join()

    def sizes(self) -> dict[str, int]:
        """Of the files; from any thread."""
        partitions = list(self._upkeep.partitions.all)
        return {"bytes": sum(partition.bytes for partition in partitions), "partitions": len(partitions)}

    def partition_names(self) -> list[str]:
        """Aliases in SQL; from any thread."""
        return [partition.name for partition in list(self._upkeep.partitions.all)]

    def put_aside(self, damaged: dict[str, str]) -> None:
        """Has damaged partitions taken out, and waits until the views are without them; from any thread."""
        done = threading.Event()
        self._damaged.append((damaged, done))
        self._waiting.wake()
        done.wait(_AGAIN_S)

    # --- opening

    def _open(self) -> None:
        limits = self._limits
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{limits.memory_bytes // 1000}KB",
                "threads": limits.threads,
                "temp_directory": str(self._folder.path / "tmp"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                # Upkeep does checkpoints, after the answer: one that fails in a commit leaves in doubt what was stored.
                "checkpoint_threshold": "1TB",
                "auto_checkpoint_skip_wal_threshold": 1 << 62,
            },
        )
        try:
            self._upkeep = Upkeep(self._connection, self._folder, limits, self._readers, self.counts)
            self.marks.load(self._connection, self.partition_names())
        except BaseException:
            self._connection.close()
            raise
        self._readers.open(self._connection)

    def _open_again(self) -> None:
        """After DuckDB declared the database unusable: everything committed is in the files."""
        self._readers.close(_INTERRUPT_S)
        try:
            self._connection.close()
            self._open()
        except (duckdb.Error, OSError, StoreError) as error:
            self.trouble = f"the store can't be opened again: {_first_line(error)}"
            log.error(self.trouble)

    # --- the thread

    def _run(self) -> None:
        while (jobs := self._waiting.take(_TICK_S)) is not None:
            try:
                if jobs:
                    began_s = time.monotonic()
                    self._group(jobs)
                    self._waiting.took(time.monotonic() - began_s)
                self._tend()
            except Exception as error:  # nothing may end this thread: say it, and go on
                log.exception("the store's writer")
                self._answer_all(jobs, StoreError("io", _first_line(error)))
        self._readers.close(_INTERRUPT_S)
        try:
            self._upkeep.empty_log(self._upkeep.partitions.current)
        except (duckdb.Error, OSError) as error:
            log.error("closing the store: %s", _first_line(error))  # the log file has it all
        finally:
            self._connection.close()

    def _group(self, jobs: Sequence[Job], again: bool = True) -> None:
        wanted = sum(job.bytes for job in jobs)
        full = self._upkeep.full(wanted)
        if full:
            self._wanted = wanted
            self._fail(jobs, full)
            return
        try:
            self._upkeep.turn()
            current = self._upkeep.partitions.current
            answers = self._committer.commit(self._connection, current.name, jobs)
        except (duckdb.Error, OSError, MemoryError) as error:
            self._after_error(jobs, error, again)
            return
        current.newest_ns = time.time_ns()
        self.counts.commits += 1
        self.trouble = None
        for job, answer in zip(jobs, answers, strict=True):
            self._answer(job, answer)

    def _after_error(self, jobs: Sequence[Job], error: Exception, again: bool) -> None:
        """Finds out whose fault it was: the disk's (all come again later), or one request's (it alone is refused)."""
        text = _first_line(error)
        disk_full = "no space left" in text.lower() or self._upkeep.full(0) is not None
        trouble = StoreError("disk_full" if disk_full else "io", f"--data {self._folder.path}: {text}")
        if again and is_damage(error):
            self._upkeep.put_aside({self._upkeep.partitions.current.name: text})
            self._group(jobs, again=False)
            return
        if not self._upkeep.usable():
            self._open_again()
            self._fail(jobs, trouble)
            return
        self.marks.load(self._connection, self.partition_names())  # the files alone know what was committed
        if not disk_full and not isinstance(error, (OSError, duckdb.IOException)) and len(jobs) > 1:
            for job in jobs:
                self._group([job])
            return
        self._fail(jobs, trouble)

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
                self.counts.duplicates += answer.duplicate
                self.counts.stored[items] += answer.accepted
                self.counts.rejected[items] += answer.rejected
                job.future.set_result(answer)
            else:
                self.counts.refused[answer.kind] += 1
                job.future.set_exception(answer)
        except InvalidStateError:
            pass  # cancelled, or answered before the trouble came

    def _tend(self) -> None:
        try:
            while self._damaged:
                damaged, done = self._damaged.pop(0)
                self._upkeep.put_aside(damaged)
                done.set()
            self._upkeep.tend()
        except (duckdb.Error, OSError) as error:
            if self.trouble is None:
                log.error("looking after the files: %s", _first_line(error))
            self.trouble = _first_line(error)
            if not self._upkeep.usable():
                self._open_again()
            return
        if self.trouble and not self._upkeep.full(self._wanted) and self._upkeep.usable():
            self.trouble, self._wanted = None, 0


def _first_line(error: BaseException) -> str:
    lines: list[Any] = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _keep_memory() -> None:
    """Tells glibc not to give every large block back at once: a fifth of the writer's time went into fresh pages."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, its highest
        mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD
