# SPDX-License-Identifier: Apache-2.0
"""load: the applications of a run, each kept alive: one that was killed is started again, in a group of its own.

Short-lived processes come one after the other; requests reach the web application from threads of this one.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from tests.chaos.node import Node
from tests.support.servers import free_port

APPS = Path(__file__).resolve().parents[1] / "apps" / "chaos"
SHORT_ENDS = (
    "pass",
    "sys.exit(3)",
    "1/0",
    "os._exit(5)",
    "os.abort()",
    "os.kill(os.getpid(), 9)",
    "os.kill(os.getpid(), 11)",
    "os.kill(os.getpid(), 15)",
)
SHORT = "import os, sys\nfrom tests.chaos import truth\nfor _ in range({count}): truth.span('short')\n{end}"


class App:
    """One program with everything that it forks."""

    def __init__(self, node: Node, name: str, command: list[str], **variables: str) -> None:
        self.node = node
        self.name = name
        self.command = command
        self.variables = variables
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def see_to_it(self) -> None:
        """Starts it if it isn't there; what an ended one left in its group is killed."""
        if self.process is None or self.process.poll() is not None:
            self.kill()
            with (self.node.folder / f"{self.name}.log").open("ab") as log:
                self.process = subprocess.Popen(
                    self.command,
                    env=self.node.environ(OTEL_SERVICE_NAME=self.name, **self.variables),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.node.folder,
                    start_new_session=True,
                )
            self.starts += 1

    def kill(self) -> None:
        """The whole group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def end(self, seconds: float = 20) -> None:
        """By SIGTERM, then by force."""
        if self.process is not None and self.process.poll() is None:
            for number in (signal.SIGCONT, signal.SIGTERM):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        self.kill()

    def pids(self) -> list[int]:
        """The program and all its descendants, as of now."""
        if self.process is None or self.process.poll() is not None:
            return []
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self.process.pid)
            return [root.pid, *(each.pid for each in root.children(recursive=True))]
        return []


class Load:
    """All applications of a run, with the threads that keep them busy."""

    def __init__(self, node: Node, rate: int, seed: int) -> None:
        self.node = node
        self.port = free_port()
        self.stopping = threading.Event()
        self.chance = random.Random(f"load {seed}")
        self.requests = self.failed = self.shorts = 0
        self.shorts_running: list[subprocess.Popen[bytes]] = []
        self.apps = [
            *(self._python(f"producer-{n}", "producer.py", "--rate", str(rate / 3)) for n in range(3)),
            App(node, "web", self._gunicorn()),
            self._python("pools", "pools.py"),
            self._python("storm", "storm.py"),
        ]
        works = (self._keep, self._short, *[self._ask] * 3)
        self.threads = [threading.Thread(target=work, daemon=True) for work in works]

    def _python(self, name: str, program: str, *arguments: str) -> App:
        return App(self.node, name, [sys.executable, str(APPS / program), *arguments])

    def _gunicorn(self) -> list[str]:
        options = ["-w", "3", "-b", f"127.0.0.1:{self.port}", "--graceful-timeout", "2", "--chdir", str(APPS)]
        return [sys.executable, "-m", "gunicorn", *options, "web:app"]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Ends everything; when this returns no process of the load is left."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        for app in self.apps:
            app.end()
        for process in self.shorts_running:
            process.wait(60)

    def _keep(self) -> None:
        while not self.stopping.wait(0.2):
            for app in self.apps:
                app.see_to_it()

    def _short(self) -> None:
        while not self.stopping.wait(0.2):
            self.shorts_running = [each for each in self.shorts_running if each.poll() is None]
            if len(self.shorts_running) < 4:
                code = SHORT.format(count=self.chance.randrange(30), end=self.chance.choice(SHORT_ENDS))
                environ = self.node.environ(OTEL_SERVICE_NAME="short")
                quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                self.shorts_running.append(subprocess.Popen([sys.executable, "-c", code], env=environ, **quiet))  # type: ignore[call-overload]
                self.shorts += 1

    def _ask(self) -> None:
        chance = random.Random(self.chance.random())
        while not self.stopping.wait(0.01):
            path = chance.choices(("/work", "/fork", "/end"), (200, 10, 1))[0]
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", path)
                connection.getresponse().read()
                self.requests += 1
            except (OSError, http.client.HTTPException):  # its worker was killed, or all of them
                self.failed += 1
                time.sleep(0.02)
            finally:
                connection.close()
