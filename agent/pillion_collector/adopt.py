# SPDX-License-Identifier: Apache-2.0
"""Adopts the rings of processes that are gone: what they recorded and could not send any more is stored, once.

One thread, woken by the process reader. A ring is closed first (from then on nothing that its owner sent is stored),
then read from where the store stands, then its end is written with the requests that were under way, then the file is
removed. Each step may be repeated: a collector that was killed in any of them loses nothing and stores nothing twice.
Some rings are adopted at a time, with few bytes under way, so that what comes in live has its share of the store.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from pillion_collector import ended, ends, rings, unfinished
from pillion_collector.adopt_folder import Dead, RingFolder
from pillion_collector.processes_known import Process
from pillion_collector.processes_ring import name_of
from pillion_collector.store import Batch, EndRow, Kind, Mark, Outcome, StoreError

log = logging.getLogger("pillion.adopt")
TOGETHER: Final = 64  # rings
WINDOW_BYTES: Final = 2 << 20  # under way to the disk
STORE_S: Final = 60.0
_AGAIN_S: Final = (1.0, 10.0)  # after the store refused: first, and at most


class Keeps(Protocol):
    """What the adopter needs of the store."""

    def append(self, kind: Kind, body: bytes, batch: Batch | None = None) -> Future[Outcome]: ...

    def close_ring(self, ring: bytes, head: int) -> Future[Outcome]: ...

    def end_ring(self, end: EndRow, unfinished: bytes, metrics: Sequence[bytes]) -> Future[Outcome]: ...

    def mark(self, ring: bytes) -> Mark | None: ...

    def query(self, sql: str, params: Any = ()) -> list[tuple[Any, ...]]: ...


@dataclass
class _Adoption:
    """One ring on its way. `ring` holds no spans."""

    dead: Dead
    ring: rings.Ring
    under_way: list[Future[Outcome]] = field(default_factory=list)
    is_read: bool = False  # all of it was handed to the store
    end: EndRow | None = None
    last: Future[Outcome] | None = None


class Adopter:
    """Starts and stops with the collector. `counts`: what it did, and what it could not read, by reason."""

    def __init__(
        self, run_dir: Path, store: Keeps, process_of: Callable[[str], Process | None], changed: Callable[[], None]
    ) -> None:
        self._store, self._changed = store, changed
        self.counts: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()  # spans of adopted rings, by reason
        self._folder = RingFolder(run_dir / "rings", process_of, self.counts)
        self._window: deque[tuple[Future[Outcome], int]] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._again_s = 0.0
        self._thread = threading.Thread(target=self._run, name="pillion-adopt", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._folder.close()

    def wake(self) -> None:
        """A process has ended. From any thread."""
        self._wake.set()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping:
            self._wake.wait(wait_s)
            self._wake.clear()
            try:
                wait_s = self.round()
            except Exception as error:  # nothing may end this thread: say it, and go on
                self._folder.trouble(f"round:{type(error).__name__}", f"adopting: {error!r}")
                wait_s = _AGAIN_S[1]

    def round(self) -> float:
        """Adopts what there is; after how many seconds to come again if nobody wakes."""
        if not self._folder.hold():
            return _AGAIN_S[0]
        dead, wait_s = self._folder.dead(time.monotonic())
        self.counts["waiting"] = len(dead)
        for at in range(0, len(dead), TOGETHER):
            if self._stopping:
                break
            if not self._adopt(dead[at : at + TOGETHER]):
                self._again_s = min(max(2 * self._again_s, _AGAIN_S[0]), _AGAIN_S[1])
                return self._again_s
            self._again_s = 0.0
            self.counts["waiting"] = max(0, len(dead) - at - TOGETHER)
        return wait_s

    # --- some rings at a time; each step for all of them, for they share transactions

    def _adopt(self, dead: list[Dead]) -> bool:
        """False: the store refuses, come again later."""
        try:
            adoptions = self._begin(dead)
            closing = [self._store.close_ring(one.ring.ring_id, one.ring.head) for one in adoptions]
            for future in closing:
                future.result(STORE_S)
            for one in adoptions:
                self._attempt(one, self._read)
            for one in adoptions:
                self._attempt(one, self._finish)
            return all([self._attempt(one, self._remove) for one in adoptions])
        except (StoreError, TimeoutError) as error:
            self._folder.trouble("store", f"adopting rings: {error}; they stay where they are until it can be done")
            return False
        finally:
            wait([future for future, _ in self._window], STORE_S)
            self._window.clear()

    def _attempt(self, one: _Adoption, step: Callable[[_Adoption], None]) -> bool:
        """False: this ring must wait, because of the store. What is wrong with the ring itself is no reason to wait."""
        try:
            step(one)
        except rings.RingError as error:
            self._folder.unreadable(one.dead.path, error)
        except (StoreError, TimeoutError) as error:
            self._folder.trouble("store", f"{one.dead.path}: {error}; it stays where it is until it can be adopted")
            return False
        except Exception as error:
            self._folder.unreadable(one.dead.path, error)
        return True

    def _begin(self, dead: list[Dead]) -> list[_Adoption]:
        """Reads the headers. What has an end already only needs to be removed."""
        found: dict[bytes, _Adoption] = {}
        for one in dead:
            try:
                ring = rings.peek(one.path)
                if str(name_of(ring)) != one.process:
                    raise rings.RingError(f"{one.path}: the ring of process {name_of(ring)}")
                found.setdefault(ring.ring_id, _Adoption(one, ring))
            except rings.RingError as error:
                self._folder.unreadable(one.path, error)
        for ring_id in self._ended(found):
            _unlink(found.pop(ring_id).dead.path)
        return list(found.values())

    def _ended(self, found: Iterable[bytes]) -> list[bytes]:
        wanted = list(found)
        marks = ", ".join("?" * len(wanted))
        rows = self._store.query(f"SELECT DISTINCT ring FROM ends WHERE ring IN ({marks})", wanted) if wanted else []
        return [bytes(row[0]) for row in rows]

    def _read(self, one: _Adoption) -> None:
        mark = self._store.mark(one.ring.ring_id)
        if mark is None:
            raise StoreError("order", "the store forgot that this ring is closed")
        start = after = mark.adopted
        if start is None and mark.start == one.ring.head:
            start = mark.end  # the last batch was stored, and its owner died before it knew
        whole = rings.read(one.dead.path, start)
        for batch in whole.batches:
            self._room(len(batch.body))
            name = Batch(whole.ring_id, batch.start, batch.end, True, after, batch.spans)
            future = self._store.append("traces", batch.body, name)
            self._window.append((future, len(batch.body)))
            one.under_way.append(future)
            after = batch.end
        one.ring = replace(whole, batches=[])
        one.is_read = True

    def _room(self, wanted: int) -> None:
        while self._window and sum(size for _, size in self._window) + wanted > WINDOW_BYTES:
            future, _ = self._window.popleft()
            wait([future], STORE_S)

    def _finish(self, one: _Adoption) -> None:
        """Once all its spans are stored: how it ended."""
        if not one.is_read:
            return
        for future in one.under_way:
            future.result(STORE_S)
        now_ns = time.time_ns()
        flights, exit = self._unfinished(one.ring), one.dead.exit
        mark = self._store.mark(one.ring.ring_id)
        one.end = ends.end_of(one.ring, one.dead.process, one.dead.pid, mark, exit, flights, now_ns)
        message = f"the process {ended.text(exit)}"
        spans = unfinished.request(one.ring, flights, now_ns, ended.kind(exit), message)
        one.last = self._store.end_ring(one.end, spans, one.ring.metrics)

    def _unfinished(self, ring: rings.Ring) -> list[rings.Flight]:
        """Of the requests in flight, those whose span was not stored: the others ended after all."""
        if not ring.flights:
            return []
        marks = ", ".join("?" * len(ring.flights))
        ids = [one.trace_id for one in ring.flights] + [one.span_id for one in ring.flights]
        rows = self._store.query(
            f"SELECT DISTINCT trace_id, span_id FROM spans WHERE trace_id IN ({marks}) AND span_id IN ({marks})",
            [bytes.fromhex(one) for one in ids],
        )
        stored = {(bytes(row[0]).hex(), bytes(row[1]).hex()) for row in rows}
        return [one for one in ring.flights if (one.trace_id, one.span_id) not in stored]

    def _remove(self, one: _Adoption) -> None:
        if one.last is None or one.end is None:
            if os.path.lexists(one.dead.path):
                raise StoreError("order", "not everything of it was stored")
            return
        one.last.result(STORE_S)
        _unlink(one.dead.path)
        self.counts["adopted"] += 1
        self.counts["crashes"] += one.end.crash
        self.lost.update(orjson.loads(one.end.dropped))
        self._changed()


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
