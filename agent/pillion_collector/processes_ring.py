# SPDX-License-Identifier: Apache-2.0
"""What the rings of the run directory tell: whose they are, and the ledger each keeps. Headers only, never the spans.

Called by the process reader when a ring appears and every few seconds, and when the ledger is asked for. Rings are
foreign files: what cannot be read is counted and left to the adopter.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pillion_collector import ends, rings
from pillion_collector.ledger import Ledger
from pillion_collector.processes_find import FILES, RING_NAME, Found
from pillion_collector.protobuf import strings
from pillion_collector.store import Mark


class Rings:
    """The rings of one run directory. Thread-safe."""

    def __init__(self, run_dir: Path, troubles: Counter[str], mark_of: Callable[[bytes], Mark | None]) -> None:
        self._folder = run_dir / "rings"
        self._troubles, self._mark_of = troubles, mark_of

    def look(self) -> dict[str, tuple[Found, Ledger]]:
        """What all rings tell now, by process."""
        found: dict[str, tuple[Found, Ledger]] = {}
        try:
            names = os.listdir(self._folder)[:FILES]
        except OSError:
            return found
        for name in names:
            if (one := self.read(name)) is not None:
                who, ring = one
                # The mark first, then the counters: what is stored was recorded before.
                mark = self._mark_of(ring.ring_id)
                again = self.read(name) if mark is not None else None
                found.setdefault(who.id, (who, Ledger()))[1].add(again[1] if again else ring, mark)
        return found

    def read(self, name: str) -> tuple[Found, rings.Ring] | None:
        """What one ring tells; None when that is nothing."""
        match = RING_NAME.fullmatch(name)
        if match is None:
            return None
        try:
            ring = rings.peek(self._folder / name)
        except rings.RingError as error:
            self._troubles["bad_ring"] += error.lasting
            return None
        return _found(int(match[1]), int(match[2]), ring), ring


def _found(pid: int, start_ticks: int, ring: rings.Ring) -> Found:
    """Whoever has a ring is instrumented; workers that were forked have nothing else to say so."""
    told = strings(ring.resource)
    return Found(
        pid,
        start_ticks,
        service=told.get("service.name"),
        instance=ends.instance_of(ring, told),
        command=told.get("process.executable.name", ""),
        python=told.get("process.runtime.version"),
        decision="injected",
    )
