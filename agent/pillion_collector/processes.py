# SPDX-License-Identifier: Apache-2.0
"""The node's processes: who is known, who lives, what each uses, stored every 5 s under the resource of its spans.

One thread. A process becomes known by what boot wrote (processes/*.json), by its ring (both are noticed at once, so
that short lives are seen), or by a received resource with pid and creation time; it is the same only while pid and
start ticks are. Its end is noticed by a pidfd at once. What /proc refuses is logged once and counted after.
"""

from __future__ import annotations

import hashlib
import logging
import os
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import psutil

from pillion_collector.ended import OomKills, exit_of
from pillion_collector.ledger import Ledger
from pillion_collector.processes_find import RING_NAME, Found, find_file, find_files, find_resources, forget_file
from pillion_collector.processes_read import METRICS, SUM, Sample, Stat, cores, look, read_stat, started_ns
from pillion_collector.processes_ring import Rings
from pillion_collector.store import Mark, PointRow, ResourceRow, StoreError
from pillion_collector.watch import Watch

INTERVAL_S = 5.0
KEPT_ENDED = 1000  # ended processes in the list; the oldest go first
_log = logging.getLogger("pillion.processes")


class Keeps(Protocol):
    """What the reader needs of the store."""

    def append_points(self, points: Any, resources: Any = ()) -> Any: ...

    def query(self, sql: str, params: Any = ()) -> list[tuple[Any, ...]]: ...

    def mark(self, ring: bytes) -> Mark | None: ...


@dataclass
class Process:
    """One process, alive or ended. `resource_id` None: nothing was stored for it yet."""

    found: Found
    parent_pid: int | None = None
    started_ns: int | None = None
    alive: bool = False
    ended_ns: int | None = None
    exit: dict[str, Any] | None = None
    handle: psutil.Process | None = None
    pidfd: int = -1
    sample: Sample | None = None
    cpu: float | None = None
    ledger: Ledger | None = None  # of the rings that it has
    oom: str | None = None  # the file that tells whether the OOM killer came


class Processes:
    """Starts and stops with the collector; `list` may be called from any thread."""

    def __init__(
        self, run_dir: Path, store: Keeps, changed: Callable[[], None], ended: Callable[[], None] = lambda: None
    ) -> None:
        self._run_dir = run_dir
        self._tell_end = ended
        self._store = store
        self._changed = changed
        self._known: dict[str, Process] = {}
        self._lock = threading.Lock()
        self._boot_s = psutil.boot_time()
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="pillion-processes", daemon=True)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._by_fd: dict[int, Process] = {}
        self.troubles: Counter[str] = Counter()  # what could not be read or stored, by reason
        self._rings = Rings(run_dir, self.troubles, store.mark)
        self._oom = OomKills()
        self._news = Watch()
        if self._news.fd >= 0:
            self._poll.register(self._news.fd, select.POLLIN)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        os.write(self._waker, b"x")
        if self._thread.is_alive():
            self._thread.join()
        for fd in (*self._by_fd, self._wake, self._waker):
            os.close(fd)
        self._by_fd.clear()
        self._news.close()

    def known(self) -> list[Process]:
        """Alive first, then the ended ones, newest first."""
        with self._lock:
            known = list(self._known.values())
        return sorted(known, key=lambda one: (not one.alive, -(one.started_ns or 0)))

    def get(self, process_id: str) -> Process | None:
        with self._lock:
            return self._known.get(process_id)

    def cycle(self, now_ns: int) -> int:
        """Finds, looks, stores; returns how many points were handed to the store."""
        before = len(self._known)
        self._follow()
        for found in (*find_files(self._run_dir, self.troubles), *self.read_rings(), *self._received()):
            self._meet(found)
        points: list[PointRow] = []
        resources: dict[int, ResourceRow] = {}
        for process in self.known():
            if process.alive:
                points += self._sample(process, now_ns, resources)
        self._save(points, resources)
        self._forget(now_ns)
        if len(self._known) != before:
            self._changed()
        return len(points)

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            for fd, _ in self._poll.poll(max(0.0, due - time.monotonic()) * 1000):
                if fd == self._wake:
                    return
                if fd == self._news.fd:
                    self._arrived()
                elif fd in self._by_fd:
                    self._ended(self._by_fd[fd], time.time_ns())
            if time.monotonic() >= due:
                due = time.monotonic() + INTERVAL_S
                try:
                    self.cycle(time.time_ns())
                except Exception as error:  # one bad cycle must not end the watch
                    self._trouble(f"cycle:{type(error).__name__}", str(error))

    def _follow(self) -> None:
        """Whatever appears in these folders is told from now on; a folder that is made later is found then."""
        for folder in ("rings", "processes"):
            self._news.add(str(self._run_dir / folder))

    def _arrived(self) -> None:
        """New rings and records: their processes may end any moment."""
        before = len(self._known)
        news = self._news.news()
        if news is None:
            for found in (*find_files(self._run_dir, self.troubles), *self.read_rings()):
                self._meet(found)
        for folder, name in news or ():
            try:
                if (who := self._who(folder, name)) is not None:
                    self._meet(who)
            except Exception as error:  # one bad file must not end the watch
                self._trouble(f"arrived:{type(error).__name__}", f"{name}: {error}")
        if len(self._known) != before:
            self._changed()

    def _who(self, folder: str, name: str) -> Found | None:
        """Whose file this is. A ring is written now and then; who is known already needs no look into it."""
        if not folder.endswith("rings"):
            return find_file(os.path.join(folder, name), self.troubles)
        match = RING_NAME.fullmatch(name)
        known = match and self._known.get(f"{match[1]}-{match[2]}")
        if match is None or (known and known.alive and known.found.instance):
            return None
        one = self._rings.read(name)
        return one[0] if one else None

    def _received(self) -> list[Found]:
        try:
            return find_resources(self._store, self._boot_s)
        except StoreError as error:
            self._trouble("resources", str(error))
            return []

    def read_rings(self) -> list[Found]:
        """Brings the ledgers of known processes up to date (any thread); returns whose rings there are."""
        found = self._rings.look()
        for known in self.known():
            known.ledger = found[known.found.id][1] if known.found.id in found else None
        return [one for one, _ in found.values()]

    def _meet(self, found: Found) -> None:
        known = self._known.get(found.id)
        if known is not None:
            known.found = known.found.merge(found)
            return
        process = Process(found, started_ns=started_ns(found.start_ticks, self._boot_s))
        stat = read_stat(found.pid)
        if stat is not None and stat.start_ticks == found.start_ticks:
            self._watch(process, stat)
        elif found.remote:
            return  # a resource whose process is not of this node, or gone before we came
        if not process.alive:
            process.exit = {"unknown": True}
        with self._lock:
            self._known[found.id] = process
        if not process.alive:
            self._tell_end()

    def _watch(self, process: Process, stat: Stat) -> None:
        """Holds on to the process by descriptor and handle; both are checked again, for the pid may have moved on."""
        process.parent_pid = stat.parent_pid
        pid = process.found.pid
        try:
            process.handle = psutil.Process(pid)
            process.pidfd = os.pidfd_open(pid)
        except psutil.NoSuchProcess:
            return
        except OSError as error:
            self._trouble("pidfd", str(error))
        again = read_stat(pid)
        if again is None or again.start_ticks != stat.start_ticks or again.state in "ZX":
            if process.pidfd >= 0:
                os.close(process.pidfd)
            return
        process.alive = True
        process.oom = self._oom.meet(pid)
        if process.pidfd >= 0:
            self._by_fd[process.pidfd] = process
            self._poll.register(process.pidfd, select.POLLIN)

    def _ended(self, process: Process, now_ns: int) -> None:
        process.exit = exit_of(process.pidfd, process.found.pid, process.found.start_ticks)
        if process.exit.get("signal") == signal.SIGKILL and self._oom.killed(process.oom):
            process.exit["oom"] = True
        process.ended_ns = now_ns
        process.alive = False
        if process.pidfd >= 0:
            self._poll.unregister(process.pidfd)
            self._by_fd.pop(process.pidfd)
            os.close(process.pidfd)
            process.pidfd = -1
        self._tell_end()
        self._changed()

    def _sample(self, process: Process, now_ns: int, resources: dict[int, ResourceRow]) -> list[PointRow]:
        found = process.found
        stat = read_stat(found.pid)
        if stat is None or stat.start_ticks != found.start_ticks or stat.state in "ZX" or process.handle is None:
            self._ended(process, now_ns)
            return []
        try:
            sample = look(process.handle, stat, now_ns, process.started_ns or now_ns, process.sample)
        except (psutil.NoSuchProcess, psutil.AccessDenied) as error:
            self._trouble(f"look:{type(error).__name__}", str(error))
            return []
        for part in sample.denied:
            self._trouble(
                f"denied:{part}",
                f"/proc/{found.pid}: {part} may not be read; run the collector as the same user or root",
            )
        process.cpu, process.sample, process.parent_pid = cores(sample, process.sample), sample, stat.parent_pid
        if not found.instance or found.decision == "not":
            return []
        row = found.resource_row or _own_resource(process)
        if found.resource_row is None:
            resources[row.resource_id] = row
        return points_of(sample, row.resource_id, process.started_ns or now_ns)

    def _save(self, points: list[PointRow], resources: dict[int, ResourceRow]) -> None:
        if not points:
            return
        try:
            stored = self._store.append_points(points, list(resources.values()))
            stored.add_done_callback(lambda _: self._changed())  # charts grow without spans
        except StoreError as error:
            self._trouble(f"store:{error.kind}", str(error))

    def _forget(self, now_ns: int) -> None:
        ended = [one for one in self.known() if not one.alive]
        for process in ended:
            forget_file(self._run_dir, process.found.id, now_ns)
        for process in ended[KEPT_ENDED:]:
            with self._lock:
                self._known.pop(process.found.id, None)

    def _trouble(self, reason: str, text: str) -> None:
        self.troubles[reason] += 1
        if self.troubles[reason] == 1:
            _log.warning("%s: %s (further ones are only counted)", reason, text)


def points_of(sample: Sample, resource_id: int, began_ns: int) -> list[PointRow]:
    """The points of one look, named as the conventions name them."""
    rows = []
    for (name, which), value in sample.values.items():
        metric = METRICS[name]
        attributes = {metric.attribute: orjson.dumps(which).decode()} if metric.attribute else None
        rows.append(
            PointRow(
                sample.time_ns,
                resource_id,
                name,
                metric.unit,
                value,
                metric.kind,
                attributes,
                began_ns if metric.kind == SUM else 0,
                metric.monotonic,
                2 if metric.kind == SUM else 0,
            )
        )
    return rows


def _own_resource(process: Process) -> ResourceRow:
    """The resource of a process that has sent nothing yet: what is known of it, under an id made from its identity."""
    found = process.found
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((process.started_ns or 0) / 1e9))
    attributes = {
        "service.name": found.service or "",
        "service.instance.id": found.instance or "",
        "process.pid": found.pid,
        "process.creation.time": created,
        "process.executable.name": found.command,
    }
    digest = hashlib.blake2b(f"{found.service}\0{found.instance}\0{found.id}".encode(), digest_size=8).digest()
    encoded = {key: orjson.dumps(value).decode() for key, value in attributes.items() if value != ""}
    return ResourceRow(int.from_bytes(digest, "little"), found.service or "", found.instance or "", found.pid, encoded)
