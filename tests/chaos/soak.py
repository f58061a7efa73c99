# SPDX-License-Identifier: Apache-2.0
"""`make soak`: a web application at 5,000 spans a second for an hour; nothing of it or of the collector may grow.

python -m tests.chaos.soak [--seconds 3600] [--rate 5000] [--json]
Watched every second from outside: resident memory, descriptors, threads, the ring's file, and how long requests take.
Exit codes: 0 nothing grew and every span is accounted for, 1 not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

import psutil

from tests.chaos.load import APPS, App
from tests.chaos.node import Node, node
from tests.chaos.run import reckon
from tests.support.servers import free_port

SPANS = 50  # of one request: `steps`, and the request's own
BARE = 0.1  # so much of the time the same application runs without pillion, to compare its requests
GROWTH_BYTES = {
    "application": 8 << 20,
    "collector": 48 << 20,
}  # from the second quarter to the last; a leak of a byte a span is 4 an hour
RING_AT_REST = 2 << 20


@dataclass
class Sample:
    """One process at one moment."""

    at_s: float
    rss: int
    fds: int
    threads: int


@dataclass
class Watch:
    """A process over time."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def take(self, at_s: float, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error), process.oneshot():
            self.samples.append(Sample(at_s, process.memory_info().rss, process.num_fds(), process.num_threads()))

    def quarter(self, number: int, value: Callable[[Sample], int]) -> float:
        """The median in the first (0) to last (3) quarter of the time."""
        size = len(self.samples) // 4
        return median(value(one) for one in self.samples[number * size : (number + 1) * size or None])

    def growth(self, value: Callable[[Sample], int]) -> float:
        """From the second quarter, when everything has been used once, to the last."""
        return self.quarter(3, value) - self.quarter(1, value)

    def summary(self) -> dict[str, float]:
        last = self.samples[-1]
        return {
            "rss_bytes": last.rss,
            "rss_growth_bytes": self.growth(lambda one: one.rss),
            "fds": last.fds,
            "fds_growth": self.growth(lambda one: one.fds),
            "threads": last.threads,
            "threads_growth": self.growth(lambda one: one.threads),
        }

    def faults(self) -> list[str]:
        told = self.summary()
        found = []
        if told["rss_growth_bytes"] > GROWTH_BYTES[self.name]:
            found.append(f"{self.name}: {told['rss_growth_bytes'] / 1e6:.1f} MB more resident memory than at the start")
        found += [
            f"{self.name}: {told[f'{what}_growth']:.0f} {what} more"
            for what in ("fds", "threads")
            if told[f"{what}_growth"] > 2
        ]
        return found


class Client(threading.Thread):
    """One request after the other on one connection, at a pace; keeps how long each took."""

    def __init__(self, port: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.port, self.rate = port, rate
        self.took_ms: list[float] = []
        self.failed = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        due = time.monotonic()
        while not self.stopping.is_set():
            begin = time.monotonic()
            try:
                connection.request("GET", f"/steps/{SPANS - 1}")
                connection.getresponse().read()
                self.took_ms.append((time.monotonic() - begin) * 1e3)
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            self.stopping.wait(max(0.0, due - time.monotonic()))
        connection.close()

    def p99(self, begin: float = 0, end: float = 1) -> float:
        """Of a stretch of all requests, in ms."""
        part = self.took_ms[int(begin * len(self.took_ms)) : int(end * len(self.took_ms))]
        return quantiles(part, n=100)[98] if len(part) > 1 else 0.0


@dataclass
class Report:
    seconds: float
    spans: int
    requests: int
    p99_ms: dict[str, float]
    processes: dict[str, dict[str, float]]
    ring_bytes: int
    dropped: dict[str, int]
    faults: list[str]

    def as_text(self) -> str:
        lines = [f"{self.spans:,} spans of {self.requests:,} requests in {self.seconds:.0f} s"]
        lines += [f"  p99 {name:<24}{value:>10.2f} ms" for name, value in self.p99_ms.items()]
        for name, told in self.processes.items():
            rss, grown = told["rss_bytes"] / 1e6, told["rss_growth_bytes"] / 1e6
            grew = ", ".join(f"{told[what]:.0f} {what} ({told[f'{what}_growth']:+.0f})" for what in ("fds", "threads"))
            lines.append(f"  {name:<16}{rss:>8.1f} MB ({grown:+.1f}), {grew}")
        lines.append(f"  ring at rest    {self.ring_bytes / 1e6:>8.1f} MB; dropped {self.dropped or 'nothing'}")
        lines += [f"FAULT {fault}" for fault in self.faults]
        return "\n".join(
            [*lines, "something grew or is missing" if self.faults else "nothing grew, every span is accounted for"]
        )


def web(stage: Node, port: int, **variables: str) -> App:
    """One worker with threads: what a thread leaves behind would show."""
    options = ["-w", "1", "--threads", "4", "-b", f"127.0.0.1:{port}", "--chdir", str(APPS)]
    return App(stage, "web", [sys.executable, "-m", "gunicorn", *options, "web:app"], **variables)


def asked(app: App, port: int, rate: float, seconds: float, look: Callable[[float], None]) -> list[Client]:
    """The application under requests for so long; `look` is called every second."""
    app.see_to_it()
    end = time.monotonic() + 60
    while not _answers(port):
        if time.monotonic() > end:
            raise RuntimeError("the application never answered")
        time.sleep(0.05)
    clients = [Client(port, rate / 2) for _ in range(2)]
    for client in clients:
        client.start()
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        look(now)
        time.sleep(min(1.0, seconds - now))
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
    return clients


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/steps/0")
        return connection.getresponse().status == 200
    return False


def soak(stage: Node, seconds: float, rate: int, progress: Callable[[str], None]) -> Report:
    """The application bare for a tenth of the time, then with pillion; then the reckoning."""
    begin, port = time.monotonic(), free_port()
    apart = stage.folder / "bare"
    apart.mkdir()
    bare_app = web(stage, port, PILLION_ENABLED="false", CHAOS_TRUTH=str(apart))
    bare = asked(bare_app, port, rate / SPANS, seconds * BARE, lambda _: None)
    bare_app.end()
    stage.start()
    app, watches = web(stage, port), {name: Watch(name) for name in GROWTH_BYTES}
    shown = [0.0]

    def look(now: float) -> None:
        assert stage.collector
        watches["collector"].take(now, psutil.Process(stage.collector.process.pid))
        for pid in app.pids()[1:2]:  # the worker
            watches["application"].take(now, psutil.Process(pid))
        if now >= shown[0] + 60:
            shown[0] = now
            progress(
                f"{now:5.0f} s: " + ", ".join(f"{w.name} {w.samples[-1].rss / 1e6:.1f} MB" for w in watches.values())
            )

    clients = asked(app, port, rate / SPANS, seconds * (1 - BARE), look)
    ring_bytes = _at_rest(stage)
    app.end()
    told = reckon(stage, 0, begin, progress)
    faults = [fault for watch in watches.values() for fault in watch.faults()] + told.verdict.faults
    failed = sum(client.failed for client in (*bare, *clients))
    if failed:
        faults.append(f"{failed} requests failed")
    if ring_bytes > RING_AT_REST:
        faults.append(f"the ring's file has {ring_bytes:,} bytes at rest")
    p99 = {"bare": max(client.p99() for client in bare)}
    p99 |= {
        f"with pillion, {name}": max(client.p99(*part) for client in clients)
        for name, part in {"first half": (0, 0.5), "second half": (0.5, 1)}.items()
    }
    return Report(
        seconds=time.monotonic() - begin,
        spans=told.verdict.spans,
        requests=sum(len(client.took_ms) for client in clients),
        p99_ms=p99,
        processes={name: watch.summary() for name, watch in watches.items()},
        ring_bytes=ring_bytes,
        dropped=dict(told.verdict.dropped),
        faults=faults,
    )


def _at_rest(stage: Node, patience_s: float = 60.0) -> int:
    """The bytes that the rings take once the load is over: as soon as few, or at the end of the patience."""
    end = time.monotonic() + patience_s
    while True:
        taken = max((path.stat().st_blocks * 512 for path in stage.rings()), default=0)
        if taken <= RING_AT_REST or time.monotonic() > end:
            return taken
        time.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=int, default=5000, help="spans a second")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    wanted = parser.parse_args()
    with node() as stage:
        report = soak(stage, wanted.seconds, wanted.rate, lambda line: print(line, file=sys.stderr, flush=True))
    answer: dict[str, Any] = asdict(report)
    print(json.dumps(answer, indent=2) if wanted.json else report.as_text(), flush=True)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
