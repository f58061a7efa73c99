# SPDX-License-Identifier: Apache-2.0
"""What the rings of the run directory tell: whose they are, and the ledger each keeps. Headers only, never the spans.

Called by the process reader when a ring appears and every few seconds, and when the ledger is asked for. Rings are
foreign files: what cannot be read is counted and left to the adopter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pillion_collector import ends, neighbours, rings
from pillion_collector.ledger import Ledger
from pillion_collector.neighbours import RING, File, Troubles
from pillion_collector.pids import Name
from pillion_collector.processes_find import Found
from pillion_collector.protobuf import strings
from pillion_collector.store import Mark


class Rings:
    """The rings of one run directory. Thread-safe. `owns`: whether a file of this owner may speak for that process."""

    def __init__(
        self,
        run_dir: Path,
        troubles: Troubles,
        mark_of: Callable[[bytes], Mark | None],
        owns: Callable[[Name], bool] = lambda who: True,
    ) -> None:
        self._folder = run_dir / "rings"
        self._troubles, self._mark_of, self._owns = troubles, mark_of, owns

    def look(self) -> dict[str, Told]:
        """What all rings tell now, by process."""
        found: dict[str, Told] = {}
        for file in neighbours.find(self._folder, RING, self._troubles):
            if (one := self._read(file)) is None:
                continue
            who, ring = one
            told = found.setdefault(who.id, Told(who, Ledger(), False))
            if ring.ring_id in told.ledger.rings:  # a second name of the same file
                continue
            # The mark first, then the counters: what is stored was recorded before.
            mark = self._mark_of(ring.ring_id)
            again = self._read(file) if mark is not None else None
            told.ledger.add(again[1] if again else ring, mark)
            told.alive |= ring.alive
        return found

    def read(self, name: str) -> tuple[Found, rings.Ring] | None:
        """What one ring tells; None when that is nothing."""
        path = str(self._folder / name)
        who = neighbours.who(name, RING, neighbours.owner(path))
        return self._read(File(path, who)) if who is not None else None

    def alive(self, process_id: str) -> bool:
        """Whether the owner of its first ring lives, by the kernel's lock alone."""
        try:
            return rings.owner_alive(self._folder / f"{process_id}.ring")
        except rings.RingError:
            return False

    def _read(self, file: File) -> tuple[Found, rings.Ring] | None:
        try:
            ring = rings.peek(file.path)
        except rings.RingError as error:
            if error.lasting:
                self._troubles.once("bad_ring", file.path)
            return None
        if str(name_of(ring)) != str(file.who):
            self._troubles.once("bad_ring", file.path)
            return None
        if not self._owns(file.who):
            return None
        return _found(file.who, ring), ring


@dataclass
class Told:
    """What the rings of one process tell. `alive`: by the kernel's lock."""

    found: Found
    ledger: Ledger
    alive: bool


def name_of(ring: rings.Ring) -> Name:
    """Whose ring it is, by its own word."""
    return Name(ring.pid, ring.start_ticks, ring.pid_namespace)


def _found(who: Name, ring: rings.Ring) -> Found:
    """Whoever has a ring is instrumented; workers that were forked have nothing else to say so."""
    told = strings(ring.resource)
    return Found(
        replace(who, container=told.get("container.id")),
        service=told.get("service.name"),
        instance=ends.instance_of(ring, told),
        command=told.get("process.executable.name", ""),
        python=told.get("process.runtime.version"),
        decision="injected",
    )
