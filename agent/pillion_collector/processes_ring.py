# SPDX-License-Identifier: Apache-2.0
"""What the rings of the run directory tell: whose they are, and the ledger each keeps. Headers only, never the spans.

Called by the process reader every few seconds and when the ledger is asked for. Rings are foreign files: what cannot be
read is counted and left alone. A process that became another program (exec) has more than one ring; they add up.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pillion_collector import rings
from pillion_collector.processes_find import FILES, RING_NAME, Found

_LOST = "dropped_"


@dataclass
class Ledger:
    """Spans of one process: recorded = sent + lost by reason + waiting."""

    recorded: int = 0
    sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0  # requests that began and did not end yet

    @property
    def waiting(self) -> int:
        return max(0, self.recorded - self.sent - sum(self.lost.values()))

    def add(self, ring: rings.Ring) -> None:
        self.recorded += ring.counters.get("recorded", 0)
        self.sent += ring.counters.get("sent", 0)
        self.in_flight += len(ring.flights)
        for name, number in ring.counters.items():
            if number and (name == "rejected" or name.startswith(_LOST)):
                self.lost[name.removeprefix(_LOST)] += number


def find_rings(run_dir: Path, troubles: Counter[str]) -> dict[str, tuple[Found, Ledger]]:
    """By process."""
    found: dict[str, tuple[Found, Ledger]] = {}
    try:
        entries = list(os.scandir(run_dir / "rings"))[:FILES]
    except OSError:
        return found
    for entry in entries:
        match = RING_NAME.fullmatch(entry.name)
        if match is None:
            continue
        try:
            ring = rings.peek(entry.path)
        except rings.RingError:
            troubles["bad_ring"] += 1
            continue
        told = strings(ring.resource)
        one = Found(int(match[1]), int(match[2]), told.get("service.name"), _instance(ring, told),
                    told.get("process.executable.name", ""), told.get("process.runtime.version"))  # fmt: skip
        found.setdefault(one.id, (one, Ledger()))[1].add(ring)
    return found


def _instance(ring: rings.Ring, told: dict[str, str]) -> str | None:
    if "service.instance.id" in told:
        return told["service.instance.id"]
    return str(uuid.UUID(bytes=ring.instance)) if any(ring.instance) else None


def strings(resource: bytes) -> dict[str, str]:
    """The string attributes of an encoded Resource; whatever is malformed ends the reading."""
    found = {}
    for number, attribute in _fields(resource):
        if number != 1:
            continue
        parts = dict(_fields(attribute))
        value = dict(_fields(parts.get(2, b"")))
        if 1 in parts and 1 in value:
            found[parts[1].decode("utf-8", "replace")] = value[1].decode("utf-8", "replace")
    return found


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message; others are passed over."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(data, at)
            if size > len(data) - at:
                return
            yield tag >> 3, data[at : at + size]
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7
    return 1 << 62, len(data)  # cut off: larger than anything that follows
