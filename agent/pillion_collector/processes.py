# SPDX-License-Identifier: Apache-2.0
"""The node's processes: who is known, who lives, what each uses, stored every 5 s under the resource of its spans.

One thread. A process becomes known by what boot wrote (processes/*.json), by its ring (both are noticed at once, so
that short lives are seen), or by a received resource with pid and creation time; it is the same only while pid and
start ticks are (pids.py: in whatever pid namespace). Its end is noticed by a pidfd at once. Of a process that /proc
doesn't show here the ring's lock alone tells whether it lives. What /proc refuses is counted once for each process.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psutil

from pillion_collector import guard_files, neighbours
from pillion_collector.containers import cgroup_of, container_in
from pillion_collector.ended import exit_of
from pillion_collector.neighbours import RING, Troubles
from pillion_collector.oom import OomKills
from pillion_collector.pids import Name, Pids, uids
from pillion_collector.processes_find import (
    KEEP_FILE_S,
    KEEP_HIDDEN_S,
    Found,
    find_file,
    find_files,
    find_resources,
    forget_file,
    sweep,
)
from pillion_collector.processes_fork import find_forks
from pillion_collector.processes_known import Process
from pillion_collector.processes_points import points_of, resource_of
from pillion_collector.processes_read import Stat, cores, look, read_stat, started_ns
from pillion_collector.processes_ring import Rings, Told
from pillion_collector.store import Mark, PointRow, ResourceRow, StoreError
from pillion_collector.watch import Watch

INTERVAL_S = 5.0
LEAVING_S = 2.0  # how long the parent of one that has ended may take to ask
_AGAIN_S = 0.02
SWEEP_S = 600.0
KEPT_ENDED = 1000  # ended processes in the list; the oldest go first
_log = logging.getLogger("pillion.processes")


class Keeps(Protocol):
    """What the reader needs of the store."""

    def append_points(self, points: Any, resources: Any = ()) -> Any: ...

    def query(self, sql: str, params: Any = ()) -> list[tuple[Any, ...]]: ...

    def mark(self, ring: bytes) -> Mark | None: ...


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
        self._leaving: list[Process] = []
        self.troubles = Troubles()  # what could not be read or stored, by reason
        self._rings = Rings(run_dir, self.troubles, store.mark, self._owns)
        self._pids = Pids()
        self._noticed_s = time.monotonic()  # when we heard of the files that are being looked at
        self._swept_s = time.monotonic()
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
        for fd in (*self._by_fd, *(one.pidfd for one in self._leaving), self._wake, self._waker):
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
        self._noticed_s = time.monotonic()
        self._follow()
        for found in (*find_files(self._run_dir, self.troubles), *self.read_rings(), *self._received()):
            self._meet(found)
        for found in self._forked():
            self._meet(found)
        points: list[PointRow] = []
        resources: dict[int, ResourceRow] = {}
        for process in self.known():
            if process.alive:
                points += self._sample(process, now_ns, resources)
        self._save(points, resources)
        self._oom.settle()
        self._forget(now_ns)
        if len(self._known) != before:
            self._changed()
        return len(points)

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            wait_s = max(0.0, due - time.monotonic())
            for fd, _ in self._poll.poll(min(wait_s, _AGAIN_S if self._leaving else wait_s) * 1000):
                if fd == self._wake:
                    return
                if fd == self._news.fd:
                    self._arrived()
                elif fd in self._by_fd:
                    self._ended(self._by_fd[fd], time.time_ns())
            for process in list(self._leaving):
                self._ended(process, process.ended_ns or time.time_ns())
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
        self._noticed_s = time.monotonic()
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
        who = neighbours.who(name, RING)
        known = who and self._known.get(str(who))
        if who is None or (known and known.alive and known.found.instance):
            return None
        one = self._rings.read(name)
        return one[0] if one else None

    def _received(self) -> list[Found]:
        by_instance = {one.found.instance: one.found.who for one in self.known() if one.alive and one.found.instance}
        try:
            return find_resources(self._store, self._boot_s, by_instance)
        except StoreError as error:
            self._trouble("resources", str(error))
            return []

    def _forked(self) -> list[Found]:
        alive = [(one.here, one.found) for one in self.known() if one.alive and one.here is not None]
        return find_forks(
            [(here, found) for here, found in alive if found.decision == "injected"],
            frozenset(here for here, _ in alive),
        )

    def read_rings(self) -> list[Found]:
        """Brings the ledgers of known processes up to date (any thread); returns whose rings there are."""
        found = self._rings.look()
        for known in self.known():
            told = found.get(known.found.id)
            known.ledger = told.ledger if told else None
            self._judge(known, told)
        return [told.found for told in found.values()]

    def _judge(self, process: Process, told: Told | None) -> None:
        """Whether one lives that /proc doesn't show: as long as it holds the lock on a ring."""
        if process.here is not None or process.ended_ns is not None:
            return
        if told is not None and told.alive:
            process.alive, process.exit = True, None
        elif process.alive:
            process.alive, process.ended_ns, process.exit = False, time.time_ns(), {"unknown": True}
            self._tell_end()

    def _owns(self, who: Name) -> bool:
        """Whether a file that says it is this process's may be: it belongs to the process's user, or to root."""
        known = self._known.get(str(who))
        if not who.uid or known is None:
            return True
        if known.alive and known.here is not None:
            mine = who.uid in uids(known.here)
        else:
            mine = known.found.who.uid in (None, 0, who.uid)
        if not mine and self.troubles.once("forged", (str(who), who.uid)):
            _log.warning("%s: a file of user %d says it is of this process, which is another user's", who, who.uid)
        return mine

    def _meet(self, found: Found) -> None:
        known = self._known.get(found.id)
        if known is not None:
            if self._owns(found.who):
                news = found.who.container is not None and known.found.who.container is None
                known.found = known.found.merge(found)
                if known.here is None and known.ended_ns is None:
                    self._meet_again(known, news)
            return
        process = Process(found, started_ns=started_ns(found.who.start_ticks, self._boot_s))
        process.here = self._pids.find(found.who, self._noticed_s)
        stat = read_stat(process.here) if process.here is not None else None
        if stat is not None and process.here is not None:
            if found.who.uid and found.who.uid not in uids(process.here):
                self.troubles.once("forged", (found.id, found.who.uid))
                return
            self._watch(process, process.here, stat)
        elif found.remote:
            return  # a resource whose process is not of this node, or gone before we came
        else:
            process.here, process.hidden = None, self._pids.hidden(found.who.namespace)
            process.alive = self._rings.alive(found.id)
        if not process.alive and not process.hidden:
            process.exit = {"unknown": True}
        with self._lock:
            self._known[found.id] = process
        if not process.alive:
            self._tell_end()

    def _meet_again(self, process: Process, news: bool) -> None:
        """One that was not found. `news`: its container's id, by which one of two that began together may be found."""
        if not process.alive:
            process.alive = process.hidden and self._rings.alive(process.found.id)  # the ring came after the record
        elif (
            news and (here := self._pids.find(process.found.who)) is not None and (stat := read_stat(here)) is not None
        ):
            process.here, process.hidden = here, False
            self._watch(process, here, stat)

    def _watch(self, process: Process, pid: int, stat: Stat) -> None:
        """Holds on to the process by descriptor and handle; both are checked again, for the pid may have moved on."""
        process.parent_pid = stat.parent_pid
        cgroup = cgroup_of(pid)
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
        process.oom = self._oom.file_of(cgroup)
        process.group = container_in(cgroup)
        if process.pidfd >= 0:
            self._by_fd[process.pidfd] = process
            self._poll.register(process.pidfd, select.POLLIN)

    def _ended(self, process: Process, now_ns: int) -> None:
        if process.leaving_s is None:
            process.kills = self._oom.count(process.oom)  # before all else: the group may go
        exit = exit_of(process.pidfd, process.here or 0, process.found.who.start_ticks)
        if exit is None and self._leave(process, now_ns):
            return
        process.exit = exit or {"unknown": True}
        kills = process.kills
        if process.exit.get("signal") == signal.SIGKILL and kills and self._oom.killed(process.oom, kills):
            process.exit["oom"] = True
        process.ended_ns = now_ns
        process.alive, process.leaving_s = False, None
        if process in self._leaving:
            self._leaving.remove(process)
        if process.pidfd >= 0:
            if process.pidfd in self._by_fd:
                self._poll.unregister(process.pidfd)
                self._by_fd.pop(process.pidfd)
            os.close(process.pidfd)
            process.pidfd = -1
        guard_files.acquit(self._run_dir, process.found.id, process.exit)
        self._tell_end()
        self._changed()

    def _leave(self, process: Process, now_ns: int) -> bool:
        """Waits a little for the parent; False: that was long enough."""
        if process.leaving_s is not None:
            return time.monotonic() < process.leaving_s + LEAVING_S
        process.leaving_s, process.ended_ns = time.monotonic(), now_ns
        self._poll.unregister(process.pidfd)
        self._by_fd.pop(process.pidfd)
        self._leaving.append(process)
        return True

    def _sample(self, process: Process, now_ns: int, resources: dict[int, ResourceRow]) -> list[PointRow]:
        found = process.found
        if process.here is None or process.leaving_s is not None:
            return []
        stat = read_stat(process.here)
        if stat is None or stat.start_ticks != found.who.start_ticks or stat.state in "ZX" or process.handle is None:
            self._ended(process, now_ns)
            return []
        try:
            sample = look(process.handle, stat, now_ns, process.started_ns or now_ns, process.sample)
        except (psutil.NoSuchProcess, psutil.AccessDenied) as error:
            self._trouble(f"look:{type(error).__name__}", str(error))
            return []
        for part in sample.denied:
            self._denied(part, process)
        process.cpu, process.sample, process.parent_pid = cores(sample, process.sample), sample, stat.parent_pid
        if not found.instance or found.decision == "not":
            return []
        row, ours = resource_of(found, process.started_ns or now_ns, process.container)
        if ours:
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
            kept_s = KEEP_HIDDEN_S if process.hidden and process.ended_ns is None else KEEP_FILE_S
            forget_file(self._run_dir, process.found.id, now_ns, kept_s)
        if time.monotonic() > self._swept_s + SWEEP_S:
            self._swept_s = time.monotonic()
            sweep(self._run_dir, now_ns)
            guard_files.sweep(self._run_dir, now_ns)
        for process in ended[KEPT_ENDED:]:
            with self._lock:
                self._known.pop(process.found.id, None)

    def _denied(self, part: str, process: Process) -> None:
        reason = f"denied:{part}"
        if self.troubles.once(reason, process.found.id) and self.troubles[reason] == 1:
            _log.warning(
                "/proc/%s: %s may not be read; the rest is. To have it, run the collector as the same user, or as root"
                " with CAP_SYS_PTRACE (further ones are only counted)",
                process.here,
                part,
            )

    def _trouble(self, reason: str, text: str) -> None:
        self.troubles[reason] += 1
        if self.troubles[reason] == 1:
            _log.warning("%s: %s (further ones are only counted)", reason, text)
