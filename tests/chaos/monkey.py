# SPDX-License-Identifier: Apache-2.0
"""monkey: what goes wrong during a run. Two threads, each with its own sequence from the seed: one troubles the
applications' processes, the other the collector, its socket and its disk. Everything it did is counted by name.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable

from tests.chaos.load import App, Load
from tests.chaos.node import Node
from tests.chaos.relay import Mode

Say = Callable[[str], None]


class Monkey:
    """Begun by `start`; `stop` puts everything right again: a collector that runs, an open socket, room on the disk."""

    def __init__(self, node: Node, load: Load, seed: int, say: Say) -> None:
        self.node = node
        self.load = load
        self.say = say
        self.did: Counter[str] = Counter()
        self.errors: list[BaseException] = []
        self.stopping = threading.Event()
        self.frozen: set[int] = set()
        self.apps_chance = random.Random(f"applications {seed}")
        self.node_chance = random.Random(f"node {seed}")
        works = (self._trouble_apps, self._trouble_node)
        self.threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in works]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(180)
        if self.node.disk:
            self.node.disk.empty()
        self.node.relay.become(Mode.PASS)
        if self.node.collector is None:
            self.node.start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.errors.append(error)

    # --- applications

    def _trouble_apps(self) -> None:
        chance = self.apps_chance
        ways = [self._kill, self._tell, self._freeze]
        while not self.stopping.wait(chance.uniform(0.1, 1.0)):
            chance.choices(ways, (6, 3, 1))[0]()

    def _victim(self) -> tuple[App, int] | None:
        app = self.apps_chance.choice(self.load.apps)
        draw = self.apps_chance.random()
        pids = app.pids()
        return (app, pids[int(draw * len(pids))]) if pids else None

    def _kill(self) -> None:
        number = self.apps_chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM))
        found = self._victim()
        if found:
            self._send(*found, number)

    def _tell(self) -> None:
        """To a producer: os._exit, or fork."""
        app = self.apps_chance.choice([app for app in self.load.apps if app.name.startswith("producer")])
        number = self.apps_chance.choices((signal.SIGUSR1, signal.SIGUSR2), (1, 3))[0]
        pids = app.pids()
        if pids:
            self._send(app, pids[0], number)

    def _freeze(self) -> None:
        found = self._victim()
        seconds = self.apps_chance.uniform(0.5, 3)
        if found and self._send(*found, signal.SIGSTOP):
            self.stopping.wait(seconds)
            self._send(*found, signal.SIGCONT)

    def _send(self, app: App, pid: int, number: signal.Signals) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            self.did[f"application: {number.name}"] += 1
            self.say(f"{number.name} to {pid} of {app.name}")
            return True
        return False

    # --- collector, socket, disk

    def _trouble_node(self) -> None:
        chance = self.node_chance
        ways = [self._hang, self._restart, self._crash, self._cut, self._relay]
        if self.node.disk and not self.node.disk.lack:
            ways.append(self._fill)
        while not self.stopping.wait(chance.uniform(0.5, 4)):
            way = chance.choice(ways)
            way(chance.uniform(0.2, 6))

    def _log(self, what: str, seconds: float) -> None:
        self.did[what] += 1
        self.say(f"{what}, {seconds:.1f} s")

    def _hang(self, seconds: float) -> None:
        assert self.node.collector
        self._log("collector: stopped (SIGSTOP)", seconds)
        self.node.collector.process.send_signal(signal.SIGSTOP)
        self.stopping.wait(seconds)
        self.node.collector.process.send_signal(signal.SIGCONT)

    def _restart(self, seconds: float) -> None:
        self._log("collector: restarted", seconds)
        self.node.end(signal.SIGTERM)
        self.stopping.wait(seconds)
        self.node.start()

    def _crash(self, seconds: float) -> None:
        self._log("collector: killed (SIGKILL)", seconds)
        self.node.end(signal.SIGKILL)
        self.stopping.wait(seconds)
        self.node.start()

    def _cut(self, seconds: float) -> None:
        self._log("socket: cut", 0)
        self.node.relay.cut()

    def _relay(self, seconds: float) -> None:
        mode = self.node_chance.choice((Mode.HANG, Mode.SLOW, Mode.REFUSE))
        self._log(f"socket: {mode.value}", seconds)
        self.node.relay.become(mode)
        self.stopping.wait(seconds)
        self.node.relay.become(Mode.PASS)

    def _fill(self, seconds: float) -> None:
        """And sometimes the collector dies on the full disk, or is started on it."""
        assert self.node.disk
        self._log("disk: full", seconds)
        self.node.disk.fill()
        self.stopping.wait(seconds / 2)
        dies = self.node_chance.random() < 0.3
        if dies:
            self.did["collector: killed on a full disk"] += 1
            self.node.end(signal.SIGKILL)
        self.stopping.wait(seconds / 2)
        self.node.disk.empty()
        if dies:
            self.node.start()
