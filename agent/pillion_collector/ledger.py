# SPDX-License-Identifier: Apache-2.0
"""The ledger of one process that lives: recorded = stored + dropped by reason + waiting. Pure.

What the process says (its ring's counters) and what the store says (the ring's mark) are two witnesses: `balanced` is
whether they agree, within what is under way between them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pillion_collector import ends
from pillion_collector.rings import Ring
from pillion_collector.store import Mark


@dataclass
class Ledger:
    """Of all rings of a process: one that became another program (exec) has more than one."""

    recorded: int = 0
    sent: int = 0  # acknowledged, as the process knows
    stored: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0  # requests that began and did not end yet
    duplicates: int = 0
    rings: set[bytes] = field(default_factory=set)
    balanced: bool = True

    @property
    def waiting(self) -> int:
        return max(0, self.recorded - self.stored - sum(self.lost.values()))

    def add(self, ring: Ring, mark: Mark | None) -> None:
        """One ring and its mark, which was read before it."""
        recorded, sent = ring.counters.get("recorded", 0), ring.counters.get("sent", 0)
        stored, lost = mark.spans if mark is not None else 0, ends.lost(ring.counters)
        self.rings.add(ring.ring_id)
        self.recorded += recorded
        self.sent += sent
        self.stored += stored
        self.lost.update(lost)
        self.in_flight += len(ring.flights)
        self.duplicates += mark.duplicates if mark is not None else 0
        self.balanced &= stored + sum(lost.values()) <= recorded
