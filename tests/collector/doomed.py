# SPDX-License-Identifier: Apache-2.0
"""A program that works in three threads and ends badly, and what a collector knows of it afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb
import pytest

from tests.collector.conftest import DEADLINE_S, Running, eventually

THREADS, REQUESTS, STEPS = 3, 20, 10
FINISHED = THREADS * (REQUESTS * (STEPS + 1) + STEPS)  # the last request of each thread never ends
PROGRAM = f"""
import ctypes, os, signal, sys, threading, time, pillion
ready, busy = threading.Barrier({THREADS + 1}), "busy" in sys.argv

def request(name):
    with pillion.span(name, _kind="server", part=1):
        for step in range({STEPS}):
            with pillion.span("step"):
                pass
        if name == "GET /last":
            ready.wait()
            while True:
                time.sleep(60)

def work():
    for number in range({REQUESTS}):
        request("GET /work")
    if not busy:
        request("GET /last")
    ready.wait()
    while True:
        request("GET /more")

for number in range({THREADS}):
    threading.Thread(target=work, daemon=True).start()
ready.wait()
print("worked", flush=True)
exec(sys.stdin.readline())
"""
# As many spans as it is told, and no request.
MANY = """
import os, sys, pillion
for number in range(int(sys.argv[1])):
    with pillion.span("work", text="x" * 200, number=number):
        pass
print("worked", flush=True)
exec(sys.stdin.readline())
"""
Doom = Callable[..., subprocess.Popen[bytes]]


@contextlib.contextmanager
def dooming() -> Iterator[Doom]:
    """Starts instrumented programs; each does what a line on its stdin says once it has worked."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(
        collector: Running, *arguments: str, code: str = PROGRAM, within: Sequence[str] = (), **environ: str
    ) -> subprocess.Popen[bytes]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PILLION_", "OTEL_"))}
        command = [sys.executable, "-m", "pillion", "run", "--service", "doomed", "--", sys.executable, "-c", code]
        process = subprocess.Popen(
            [*within, *command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**clean, "PILLION_RUN_DIR": str(collector.run_dir), **environ},
        )
        running.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"worked\n"
        return process

    try:
        yield begin
    finally:
        for process in running:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def doom() -> Iterator[Doom]:
    with dooming() as begin:
        yield begin


def end(process: subprocess.Popen[bytes], how: str) -> int:
    """Has it do this line of Python, its last; or sends it a signal, by name."""
    if how in signal.Signals.__members__:
        process.send_signal(signal.Signals[how])
    else:
        assert process.stdin is not None
        process.stdin.write(how.encode() + b"\n")
        process.stdin.flush()
    return process.wait(DEADLINE_S)


def adopted(collector: Running) -> dict[str, Any]:
    """The ledger of the one doomed process, once there is no ring any more."""
    assert eventually(lambda: not rings(collector)), rings(collector)
    (one,) = [each for each in collector.get("/api/stats")["processes"] if each["service"] == "doomed"]
    return dict(one)


def rings(collector: Running) -> list[str]:
    return [name for name in os.listdir(collector.run_dir / "rings") if not name.startswith(".")]


def crashes(collector: Running) -> list[dict[str, Any]]:
    return list(collector.get("/api/crashes")["crashes"])


def counted(collector: Running) -> tuple[int, int]:
    """Spans that ended in the store, and different ones; read from its files, after it was ended."""
    total, ids = 0, set()
    for file in sorted(collector.data.glob("*.duckdb")):
        with duckdb.connect(str(file)) as store:
            marked = "len(list_filter(entries, lambda one: one.key = 'pillion.unfinished')) > 0"
            rows = store.execute(f"SELECT span_id FROM spans WHERE NOT {marked}").fetchall()
            total += len(rows)
            ids |= {bytes(row[0]) for row in rows}
    return total, len(ids)
