# SPDX-License-Identifier: Apache-2.0
"""The ledger of real instrumented processes: what they recorded is what was stored, also when they are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.collector.conftest import DEADLINE_S, Running, eventually

PROGRAM = """
import sys, pillion
for at in range(100):
    with pillion.span("work", at=at):
        pass
print("worked", flush=True)
sys.stdin.read()
for at in range(50):
    with pillion.span("last work"):
        pass
"""


@pytest.fixture
def program(collector: Running) -> Iterator[subprocess.Popen[bytes]]:
    """An instrumented process that has worked, and works once more when its stdin is closed."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PILLION_", "OTEL_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "pillion", "run", "--service", "worker", "--", sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**clean, "PILLION_RUN_DIR": str(collector.run_dir)},
    )
    assert process.stdout is not None and process.stdout.readline() == b"worked\n"
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def ledger(collector: Running) -> dict[str, Any]:
    found = [one for one in collector.get("/api/stats")["processes"] if one["service"] == "worker"]
    return found[0] if found else {}


def adopted(collector: Running) -> dict[str, Any]:
    """The ledger once the ring is gone."""
    assert eventually(lambda: not list((collector.run_dir / "rings").iterdir()))
    return ledger(collector)


def test_a_living_process_has_recorded_what_it_sent_and_what_is_stored(
    collector: Running, program: subprocess.Popen[bytes]
) -> None:
    assert eventually(lambda: ledger(collector).get("stored") == 100 and ledger(collector)["sent"] == 100)
    told = ledger(collector)
    assert (told["recorded"], told["dropped"], told["waiting"], told["in_flight"]) == (100, {}, 0, 0)
    assert told["balanced"]
    (one,) = [each for each in collector.get("/api/processes")["processes"] if each["service"] == "worker"]
    assert (one["pid"], one["decision"], one["alive"], one["python"]) == (
        program.pid,
        "injected",
        True,
        sys.version.split()[0],
    )
    assert 'pillion_agent_spans_recorded_total{service_name="worker"' in collector.fetch("/metrics")[1].decode()


def test_the_last_numbers_of_a_process_that_ended_in_order_are_kept(
    collector: Running, program: subprocess.Popen[bytes]
) -> None:
    assert eventually(lambda: ledger(collector))
    assert program.stdin is not None
    program.stdin.close()
    assert program.wait(DEADLINE_S) == 0
    told = adopted(collector)
    (one,) = collector.get("/api/processes")["processes"]
    assert (one["pid"], one["alive"], one["exit"]) == (program.pid, False, {"code": 0})
    assert (told["recorded"], told["stored"], told["dropped"], told["balanced"]) == (150, 150, {}, True)
    assert collector.get("/api/stats")["total"]["stored"] == 150


def test_what_a_killed_process_could_not_send_is_stored_all_the_same(
    collector: Running, program: subprocess.Popen[bytes]
) -> None:
    assert eventually(lambda: ledger(collector))
    program.send_signal(signal.SIGKILL)
    told = adopted(collector)
    (one,) = collector.get("/api/processes")["processes"]
    assert one["exit"] == {"signal": 9}
    assert (told["recorded"], told["stored"], told["waiting"], told["balanced"]) == (100, 100, 0, True)
