# SPDX-License-Identifier: Apache-2.0
"""`make demo`'s driver, as it is run: it shows both services, ends when told, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.journey import programs

DRIVER = [sys.executable, str(programs.DEMO / "demo.py")]


def offspring(mark: str) -> list[str]:
    """Processes that carry the mark in their environment: whatever the demo started."""
    found = []
    for process in psutil.process_iter():
        try:
            if f"DEMO_MARK={mark}".encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(" ".join(process.cmdline()))
        except (OSError, psutil.Error):
            continue  # gone, or not ours
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_shows_both_services_and_ends_cleanly_when_told(number: signal.Signals) -> None:
    mark = os.urandom(8).hex()
    process = subprocess.Popen(
        DRIVER, env=programs.clean(DEMO_MARK=mark), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "shop " in said and "stock " in said:
                break
        process.send_signal(number)
        said += process.stdout.read()
        assert process.wait(60) == 0, said
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert "See it in a browser: http://127.0.0.1:" in said
    assert "ended cleanly" in said
    assert offspring(mark) == []


def test_demo_ends_by_itself_after_its_seconds() -> None:
    mark = os.urandom(8).hex()
    began = time.monotonic()
    environment = programs.clean(DEMO_MARK=mark)
    ended = subprocess.run([*DRIVER, "--seconds", "2"], env=environment, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert time.monotonic() - began >= 2
    assert offspring(mark) == []
