# SPDX-License-Identifier: Apache-2.0
"""A real collector for the tests: `pillion up` as a process of its own, on free ports, in folders of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

DEADLINE_S = 60.0
MAIN = "import sys; from pillion_collector.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass
class Running:
    """A collector that has said it is ready."""

    process: subprocess.Popen[bytes]
    ui: str
    grpc: str
    socket: Path
    data: Path
    run_dir: Path

    def get(self, path: str, **headers: str) -> Any:
        """The decoded answer of the API, whatever its status."""
        return orjson.loads(self.fetch(path, **headers)[1])

    def fetch(self, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        request = urllib.request.Request(self.ui + path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ends it; the exit code and what it wrote to stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, err.decode()


Start = Callable[..., Running]


def spawn(
    arguments: list[str],
    environ: dict[str, str],
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    session: bool = False,  # of its own: a Ctrl-C at the terminal is not for it
    within: Sequence[str] = (),  # a command that runs it
) -> subprocess.Popen[bytes]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PILLION_", "OTEL_"))}
    return subprocess.Popen(
        [*within, sys.executable, "-c", MAIN, *arguments],
        stdout=stdout,
        stderr=stderr,
        start_new_session=session,
        env={**clean, "PYTHONUNBUFFERED": "1", **environ},
    )


@contextlib.contextmanager
def running() -> Iterator[Start]:
    """Starts collectors, with a run directory on tmpfs, as rings need it, and a short path; ends what still runs."""
    folder = Path(tempfile.mkdtemp(prefix="pln-"))
    shared = Path(tempfile.mkdtemp(prefix="pln-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    started: list[subprocess.Popen[bytes]] = []

    def begin(
        *arguments: str, data: Path | None = None, run_dir: Path | None = None, within: Sequence[str] = ()
    ) -> Running:
        data, run_dir = data or folder / "data", run_dir or shared / "run"
        fixed = ["up", "--json", "--data", str(data), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        process = spawn([*fixed, *arguments], {"PILLION_RUN_DIR": str(run_dir)}, within=within)
        started.append(process)
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read().decode()
        ready = orjson.loads(line)
        return Running(process, ready["ui"], ready["grpc"], Path(ready["socket"]), data, run_dir)

    try:
        yield begin
    finally:
        for process in started:
            _end(process)
        for used in (folder, shared):
            shutil.rmtree(used, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10)
    if process.poll() is None:
        process.kill()
        process.communicate()


@pytest.fixture
def start() -> Iterator[Start]:
    with running() as begin:
        yield begin


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    """One for all tests of a file that do not mind what the others did."""
    with running() as begin:
        yield begin()


@pytest.fixture
def collector(start: Start) -> Running:
    return start()


def eventually(question: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Asks until the answer is true; the last answer at the deadline."""
    end = time.monotonic() + deadline_s
    while not (found := question()) and time.monotonic() < end:
        time.sleep(0.02)
    return found
