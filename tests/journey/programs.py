# SPDX-License-Identifier: Apache-2.0
"""Programs as a user starts them, with and without `pillion run` before the command; each ended by its own pid."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "docker" / "demo"
RUN = [sys.executable, "-m", "pillion", "run"]


def clean(**more: str) -> dict[str, str]:
    """The environment without any setting of pillion, OpenTelemetry or Python's path."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PILLION_", "OTEL_", "PYTHON"))}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | more


def traced(service: str, *command: str) -> list[str]:
    return [*RUN, "--service", service, "--", *command]


def get(port: int, path: str, method: str = "GET", body: str = "", **headers: str) -> tuple[int, str]:
    """Status and text of one request, made by a client that nobody traces."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Server:
    """A server program that answers on a port of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def wait(self, seconds: float = 60) -> None:
        """Until somebody listens; a program that ended instead fails the test with its own words."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            said = self.log.read_text(errors="replace")[-3000:]
            assert self.process.poll() is None, f"ended with code {self.process.returncode}:\n{said}"
            assert time.monotonic() < deadline, f"nobody listens on port {self.port}:\n{said}"
            time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise


@contextlib.contextmanager
def serving(command: list[str], port: int, log: Path, variables: dict[str, str], cwd: Path = DEMO) -> Iterator[Server]:
    """The program, listening; ended at the end, with all the processes of its group if it doesn't end by itself."""
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=clean(**variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        server.wait()
        yield server
    finally:
        server.end()


def gunicorn(port: int, app: str, workers: int = 2) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "-w",
        str(workers),
        "-b",
        f"127.0.0.1:{port}",
        "--graceful-timeout",
        "3",
        app,
    ]
