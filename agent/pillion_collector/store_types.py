# SPDX-License-Identifier: Apache-2.0
"""What goes in and out of the store, and what can go wrong there. `pillion_collector.store` gives them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["traces", "metrics", "logs"]


class StoreError(Exception):
    """What went wrong and what to do, in one line.

    `kind`: locked, newer, setting (at opening); disk_full, io, closed, busy, bad_input (later).
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
