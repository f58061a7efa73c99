# SPDX-License-Identifier: Apache-2.0
"""What the rings of the run directory tell: whose they are, and the ledger each keeps. Headers only, never the spans.

Called by the process reader every few seconds and when the ledger is asked for. Rings are foreign files: what cannot be
read is counted and left alone. A process that became another program (exec) has more than one ring; they add up.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pillion_collector import rings
from pillion_collector.processes_find import FILES, RING_NAME, Found

_LOST = "dropped_"
HEAD_BYTES = 256 << 10  # more than everything in a ring before its spans


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


class Rings:
    """The rings of one run directory. Thread-safe.

    Each is held open from the first look on: a process that ends in order removes its ring, and its last numbers are
    read from what is held.
    """

    def __init__(self, run_dir: Path, troubles: Counter[str]) -> None:
        self._folder = run_dir / "rings"
        self._troubles = troubles
        self._held: dict[str, tuple[str, int]] = {}  # path -> process, descriptor
        self._lock = threading.Lock()

    def look(self) -> dict[str, tuple[Found, Ledger]]:
        """What all rings tell now, by process."""
        found: dict[str, tuple[Found, Ledger]] = {}
        try:
            entries = list(os.scandir(self._folder))[:FILES]
        except OSError:
            return found
        for entry in entries:
            match = RING_NAME.fullmatch(entry.name)
            if match is None:
                continue
            try:
                ring = rings.peek(entry.path)
            except rings.RingError:
                self._troubles["bad_ring"] += 1
                continue
            one = _found(int(match[1]), int(match[2]), ring)
            self._hold(entry.path, one.id)
            found.setdefault(one.id, (one, Ledger()))[1].add(ring)
        return found

    def last_word(self, process_id: str) -> Ledger | None:
        """The ledger at the end of a process, and its rings are let go. None: none was held."""
        with self._lock:
            paths = [path for path, (owner, _) in self._held.items() if owner == process_id]
            descriptors = [self._held.pop(path)[1] for path in paths]
        ledger = Ledger()
        for descriptor in descriptors:
            try:
                ledger.add(self._copy(descriptor))
            except (OSError, rings.RingError):
                self._troubles["bad_ring"] += 1
            finally:
                os.close(descriptor)
        return ledger if descriptors else None

    def close(self) -> None:
        with self._lock:
            for _, descriptor in self._held.values():
                os.close(descriptor)
            self._held.clear()

    def _hold(self, path: str, owner: str) -> None:
        with self._lock:
            if path not in self._held:
                with contextlib.suppress(OSError):
                    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                    self._held[path] = (owner, os.open(path, flags))

    def _copy(self, descriptor: int) -> rings.Ring:
        """Reads a ring that has no name any more, by way of a file that has one for a moment."""
        with tempfile.NamedTemporaryFile(dir=self._folder.parent, prefix=".ring-") as file:
            file.write(os.pread(descriptor, HEAD_BYTES, 0))
            file.flush()
            return rings.peek(file.name)


def _found(pid: int, start_ticks: int, ring: rings.Ring) -> Found:
    """Whoever has a ring is instrumented; workers that were forked have nothing else to say so."""
    told = strings(ring.resource)
    return Found(
        pid,
        start_ticks,
        service=told.get("service.name"),
        instance=_instance(ring, told),
        command=told.get("process.executable.name", ""),
        python=told.get("process.runtime.version"),
        decision="injected",
    )


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
