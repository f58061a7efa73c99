# SPDX-License-Identifier: Apache-2.0
"""Figures of a serving process: gunicorn with one worker for each variant, all up at once, loaded in turn.

Rounds are short and many, so that all variants meet the same moods of the machine. CPU is the worker's own rusage, read
over HTTP before each round; what an exporter does between the rounds is counted to
the requests that caused it. Also memory and threads, at rest and after the load.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import math
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.peers import Variant
from tests.support.servers import free_port

HERE = Path(__file__).resolve().parent
SETTLE = 6.0  # seconds: longer than the exporters' batch delays


class Server:
    """One variant's gunicorn with one worker."""

    def __init__(self, variant: Variant, app: str, **variables: str) -> None:
        self.variant = variant
        self.port = free_port()
        gunicorn = [str(variant.venv / "bin" / "gunicorn"), "-w", "1", "-b", f"127.0.0.1:{self.port}", f"{app}:app"]
        self.process = subprocess.Popen(
            [*variant.command, *gunicorn],
            cwd=HERE / "apps",
            env=variant.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = 0

    def get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{self.variant.name}: {path} answered {answer.status}")
            return body
        finally:
            connection.close()

    def wait(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.variant.name}: gunicorn ended with code {self.process.returncode}")
            with contextlib.suppress(OSError):
                self.pid = int(json.loads(self.get("/cpu"))["pid"])
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.variant.name}: gunicorn did not answer within {seconds:.0f} s")

    def cpu_us(self) -> float:
        return float(json.loads(self.get("/cpu"))["us"])

    def load(self, count: int) -> None:
        for number in range(count):
            self.get(f"/products/{number % 20 + 1}")

    def status(self) -> dict[str, int]:
        """RSS in KiB and the number of threads, from the kernel."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {"rss_kib": int(fields["VmRSS"].split()[0]), "threads": int(fields["Threads"])}

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(variants: list[Variant], app: str, **variables: str) -> Iterator[list[Server]]:
    servers: list[Server] = []
    try:
        for variant in variants:
            servers.append(Server(variant, app, **variables))  # noqa: PERF401 (if one fails, the others are stopped)
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.stop()


def error_of_median(samples: list[float]) -> float:
    """Standard error of the median, from the samples' median deviation (for samples that scatter normally)."""
    middle = median(samples)
    return 1.2533 * 1.4826 * median(abs(each - middle) for each in samples) / math.sqrt(len(samples))


def measure(variants: list[Variant], app: str, rounds: int, requests: int, **variables: str) -> dict[str, Any]:
    """CPU µs a request for each variant, what it adds to the bare app in the same round, memory and threads."""
    with running(variants, app, **variables) as servers:
        time.sleep(SETTLE if rounds > 2 else 1)
        rest = {server.variant.name: server.status() for server in servers}
        for server in servers:
            server.load(requests // 4 + 20)  # warm caches
        time.sleep(SETTLE)
        readings: dict[str, list[float]] = {server.variant.name: [] for server in servers}
        for turn in range(rounds):
            for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
                readings[server.variant.name].append(server.cpu_us())
                server.load(requests)
        time.sleep(SETTLE)
        for server in servers:
            readings[server.variant.name].append(server.cpu_us())
        after = {server.variant.name: server.status() for server in servers}
    costs = {name: [(b - a) / requests for a, b in itertools.pairwise(row)] for name, row in readings.items()}
    added = {
        name: [a - b for a, b in zip(row, costs["bare"], strict=True)] for name, row in costs.items() if name != "bare"
    }
    return {
        "request_us": {name: median(row) for name, row in costs.items()},
        "added_us": {name: median(row) for name, row in added.items()},
        "error_us": {name: error_of_median(row) for name, row in added.items()},
        "rest": rest,
        "after": after,
        "samples_us": costs,
    }
