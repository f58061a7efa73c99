# SPDX-License-Identifier: Apache-2.0
"""flood: a number of spans as fast as they can be recorded, by processes of which many are killed at random moments.

The rings overflow, so most spans are dropped: each of them must be counted.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from tests.chaos import truth
from tests.chaos.load import APPS
from tests.chaos.node import Node
from tests.chaos.report import Report
from tests.chaos.run import reckon

EACH = 100_000  # spans of one process that is left alone
TOGETHER = 3


def flood(node: Node, spans: int, seed: int, progress: Callable[[str], None]) -> Report:
    """Until the accounts say that so many were ended."""
    begin = time.monotonic()
    chance = random.Random(f"flood {seed}")
    node.start()
    running: list[tuple[subprocess.Popen[bytes], float]] = []
    killed = started = 0
    shown = begin
    made = 0
    try:
        while made < spans:
            now = time.monotonic()
            for process, until in running:
                if now > until:
                    process.send_signal(chance.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR1)))
                    killed += process.poll() is None
            running = [(process, until) for process, until in running if process.poll() is None]
            while len(running) < TOGETHER:
                until = now + chance.uniform(0.1, 3) if chance.random() < 0.7 else now + 3600
                running.append((_start(node), until))
                started += 1
            time.sleep(0.05)
            made = sum(account.ended for account in truth.read(node.truth))
            if now > shown + 10:
                shown = now
                progress(f"{now - begin:4.0f} s: {made:,} spans of {started} processes, {killed} killed")
    finally:
        for process, _ in running:
            process.kill()
            process.wait()
    report = reckon(node, seed, begin, progress)
    report.load = {"processes": started, "killed while they recorded": killed}
    return report


def _start(node: Node) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(APPS / "producer.py"), "--threads", "2", "--count", str(EACH // 2)]
    return subprocess.Popen(command, env=node.environ(OTEL_SERVICE_NAME="flood"), stdin=subprocess.DEVNULL)
