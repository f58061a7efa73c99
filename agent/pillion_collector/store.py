# SPDX-License-Identifier: Apache-2.0
"""The store of one node: OTLP bytes in, DuckDB rows out, one file a time partition, and SQL over all of them.

One writer thread owns every change (group commit, rolling, retention); queries run on the caller's thread with a cursor
of their own. `append` answers with a future that resolves only after the commit is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

Kind = Literal["traces", "metrics", "logs"]


class StoreError(Exception):
    """What went wrong and what to do, in one line. `kind`: locked, newer, setting, disk_full, io, bad_input, closed, busy."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StoreBusy(StoreError):
    """The queue is at its limit: ask the client to come again (UNAVAILABLE with RetryInfo)."""


class BadInput(StoreError):
    """The body is not the protobuf message it should be (INVALID_ARGUMENT); nothing of it was stored."""


@dataclass(frozen=True)
class Outcome:
    """How one export ended: items stored, items refused, and why (empty when none was)."""

    accepted: int
    rejected: int
    message: str


class ResourceRow(NamedTuple):
    """A resource that comes from the collector itself: a process that sends nothing."""

    resource_id: int
    service: str
    instance: str
    pid: int | None
    attributes: dict[str, str]  # key -> JSON text of the typed value


class PointRow(NamedTuple):
    """One data point of the collector's own making. kind: 1 gauge, 2 sum; temporality: 1 delta, 2 cumulative."""

    time_ns: int
    resource_id: int
    name: str
    unit: str
    value: int | float
    kind: int = 1
    attributes: dict[str, str] | None = None  # key -> JSON text of the typed value
    start_ns: int = 0
    monotonic: bool = False
    temporality: int = 0
    description: str = ""


class Store:
    """Thread-safe. Opening takes the folder's lock; a second process gets StoreError("locked", …)."""

    def __init__(
        self,
        path: str | Path,
        *,
        retention_age_s: float = 3 * 86400,
        retention_bytes: int = 10 << 30,
        queue_bytes: int = 64 << 20,
    ) -> None:
        raise NotImplementedError

    def append(self, kind: Kind, body: bytes) -> Future[Outcome]:
        """Queues one Export…ServiceRequest. The future: Outcome after the commit, or BadInput, or StoreError(disk_full|io).

        Raises StoreBusy at once when the queue is full, StoreError("closed") after close().
        """
        raise NotImplementedError

    def append_points(self, points: Sequence[PointRow], resources: Iterable[ResourceRow] = ()) -> Future[Outcome]:
        """Stores the collector's own metrics, and the resources that they name and that no process sent."""
        raise NotImplementedError

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Runs SQL over the views spans, points, logs, resources, scopes. Any thread; sees every resolved append."""
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        """Counters: stored/rejected by table, refused by reason, queue, bytes, partitions, trouble (None when well)."""
        raise NotImplementedError

    def close(self) -> None:
        """Commits what is queued, then lets go of the folder. Idempotent."""
        raise NotImplementedError
