# SPDX-License-Identifier: Apache-2.0
"""What goes in and out of the store, and what can go wrong there. `pillion_collector.store` gives them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["traces", "metrics", "logs"]


class StoreError(Exception):
    """What went wrong and what to do, in one line.

    `kind`: locked, newer, setting (at opening); disk_full, io, closed, busy, bad_input, order (later).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StoreBusy(StoreError):
    """The queue is at its limit: ask the client to come again (UNAVAILABLE with RetryInfo)."""

    def __init__(self, message: str) -> None:
        super().__init__("busy", message)


class BadInput(StoreError):
    """The body is not the protobuf message it should be (INVALID_ARGUMENT); nothing of it was stored."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_input", message)


@dataclass(frozen=True)
class Outcome:
    """How one export ended: items stored, items refused, and why (empty when none was)."""

    accepted: int
    rejected: int
    message: str
    duplicate: bool = False  # stored before: nothing of it was stored now


class Batch(NamedTuple):
    """Which spans these are: the stretch [start, end) of a ring. Positions are numbers of that ring alone.

    `adopted`: the collector reads them itself from a ring whose owner is gone; `after`: where that stood before.
    """

    ring: bytes
    start: int
    end: int
    adopted: bool = False
    after: int | None = None
    spans: int = 0  # in it, as the ring says; only of adopted ones


class Mark(NamedTuple):
    """How far a ring has come: the last batch of its owner, all spans stored of it, and how far its adoption is."""

    start: int
    end: int
    spans: int  # of the ring, from its beginning
    rejected: int  # of the last batch; once closed: what the owner has not counted
    closed: bool
    adopted: int | None  # the collector has stored everything before this position
    time_ns: int
    duplicates: int = 0  # batches that came again


class EndRow(NamedTuple):
    """How the process of a ring ended, and the ring's ledger: recorded = stored + all that was dropped."""

    ring: bytes
    time_ns: int  # when it was noticed
    process: str
    pid: int
    service: str
    instance: str
    command: str
    began_ns: int  # the ring
    exit: str  # JSON: code, signal, exec or unknown; oom
    orderly: bool
    crash: bool
    recorded: int
    stored: int
    dropped: str  # JSON: reason -> spans
    flights: str  # JSON: the requests that were under way
    duplicates: int


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
