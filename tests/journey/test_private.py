# SPDX-License-Identifier: Apache-2.0
"""What pillion keeps is its owner's alone, what it lost is told, and a process is never taken for another one."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.conftest import Running, eventually, running
from tests.journey import programs
from tests.journey.conftest import traces

OTHER = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
RECORDS = """
import pillion, sys
for number in range(50):
    with pillion.span("step", number=number):
        pass
print("ready", flush=True)
sys.stdin.readline()
"""
TRESPASS = """
import os, socket, sys
ways = [os.listdir, os.unlink, lambda path: os.open(path, os.O_RDONLY), lambda path: os.open(path, os.O_WRONLY)]
ways.append(lambda path: socket.socket(socket.AF_UNIX).connect(path))
for path in sys.stdin.read().split():
    for way in ways:
        try:
            way(path)
            print(path, "was entered")
        except OSError:
            pass
print("tried")
"""


@pytest.fixture
def open_house() -> Iterator[Path]:
    """A folder on tmpfs that everybody may enter, for ours within."""
    house = Path(tempfile.mkdtemp(prefix="pillion-open-", dir="/dev/shm"))
    house.chmod(0o755)
    yield house
    shutil.rmtree(house, ignore_errors=True)


@pytest.fixture
def private(open_house: Path) -> Iterator[Running]:
    (open_house / "data").mkdir(mode=0o755)  # the user's own, made before
    with running() as begin:
        yield begin(run_dir=open_house / "run", data=open_house / "data")


def begun(run_dir: Path, service: str, *before: str) -> subprocess.Popen[bytes]:
    command = [*before, *programs.traced(service, sys.executable, "-c", RECORDS)]
    process = subprocess.Popen(
        command, env=programs.clean(PILLION_RUN_DIR=str(run_dir)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def test_rings_records_sockets_and_the_store_are_their_owners_alone(private: Running, open_house: Path) -> None:
    with begun(private.run_dir, "private") as process:
        assert traces(private, "service=private", at_least=50)
        everything = [path for path in open_house.rglob("*") if path != private.data]
        kinds = {path.suffix or path.name for path in everything}
        assert {"run", "rings", "processes", ".ring", ".json", ".sock", ".duckdb"} <= kinds, kinds
        for path in everything:
            mode = path.stat().st_mode
            assert mode & 0o077 == 0, f"{path}: {stat.filemode(mode)}"
        if os.getuid() == 0 and shutil.which("setpriv"):
            shown = "\n".join(map(str, everything))
            command = [*OTHER, "--", os.path.realpath("/usr/bin/python3"), "-c", TRESPASS]
            tried = subprocess.run(command, input=shown, capture_output=True, text=True, timeout=60)
            assert (tried.stdout, tried.stderr) == ("tried\n", "")
        process.send_signal(signal.SIGKILL)


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
def test_a_process_of_another_pid_namespace_is_never_taken_for_one_of_ours(private: Running) -> None:
    """Its pid is 1 to itself; here that is another process, which gets none of its spans and it none of its metrics."""
    with begun(private.run_dir, "inside", "unshare", "--pid", "--fork", "--mount-proc", "--") as process:
        (found,) = {each["root_service"] for each in traces(private, "service=inside", at_least=50)}
        assert found == "inside"
        listed = private.get("/api/processes")["processes"]
        assert not [each for each in listed if each["pid"] == 1 and (each["alive"] or each["cpu"])], listed
        process.communicate(b"\n", timeout=30)


def test_what_was_lost_is_on_the_metrics_page_with_its_reason(private: Running) -> None:
    """Made on purpose: a program that goes on recording while its ring is full, for the collector is stopped."""
    code = """
import os, pillion, signal, sys
os.kill(int(sys.argv[1]), signal.SIGSTOP)
for number in range(60000):
    with pillion.span("step", text="x" * 900):
        pass
os.kill(int(sys.argv[1]), signal.SIGCONT)
import pillion._native as native
native.flush(30)
told = native.stats()
print(told["recorded"], told["sent"], told["dropped_full"], flush=True)
sys.stdin.readline()
"""
    environ = programs.clean(PILLION_RUN_DIR=str(private.run_dir), PILLION_RING_BYTES="1M")
    command = programs.traced("lossy", sys.executable, "-c", code, str(private.process.pid))
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        recorded, sent, lost = map(int, process.stdout.readline().split())
        assert recorded == 60000 == sent + lost and lost > 0
        wanted = f"}} {lost}"

        def told() -> list[str]:
            lines = private.fetch("/metrics")[1].decode().splitlines()
            return [line for line in lines if "dropped" in line and "full" in line and line.endswith(wanted)]

        assert eventually(told), private.fetch("/metrics")[1].decode()
        process.communicate(b"\n", timeout=30)
