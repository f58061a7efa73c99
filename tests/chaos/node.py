# SPDX-License-Identifier: Apache-2.0
"""node: one run directory, one data folder on a disk of its own, the real collector, and the relay before its socket.

The collector is `pillion up` in its own process; it listens behind the relay, so that the applications' socket can be
cut, slowed and shut without it. The disk is a small tmpfs that can be filled, where mounting is allowed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.relay import Relay, free
from tests.collector.conftest import Running, spawn

READY_S = 120.0


class Disk:
    """A tmpfs of its own for the data folder, or a plain folder and the reason why."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "pillion-chaos", str(folder)]
        self.lack = ""
        try:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                self.lack = (done.stderr.strip() or "mount failed").splitlines()[-1]
        except OSError as error:
            self.lack = f"mount: {error.strerror}"
        self.filler = folder / "filler"

    def fill(self) -> None:
        """Takes every byte that is left."""
        with self.filler.open("ab") as file:
            while left := os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), left)
                except OSError:
                    return

    def empty(self) -> None:
        self.filler.unlink(missing_ok=True)

    def close(self) -> None:
        if not self.lack:
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)


class Node:
    """The stage of a run."""

    def __init__(self, folder: Path, shared: Path, disk_megabytes: int = 0) -> None:
        self.folder = folder
        self.run_dir = shared / "run"
        self.truth = shared / "truth"
        for each in (self.run_dir, self.truth):
            each.mkdir(mode=0o700)
        self.disk = Disk(folder / "disk", disk_megabytes) if disk_megabytes else None
        self.data = folder / "disk" / "data" if disk_megabytes else folder / "data"
        self.socket = shared / "collector.sock"
        self.relay = Relay(self.run_dir / "pillion.sock", self.socket)
        self.collector: Running | None = None
        self.stderr = (folder / "collector.log").open("ab")
        self.starts = 0

    def environ(self, **more: str) -> dict[str, str]:
        """Of an application under pillion on this node."""
        root = Path(__file__).resolve().parents[2]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PILLION_", "OTEL_", "PYTHON", "COV_"))}
        return {
            **kept,
            "PYTHONPATH": f"{root}/agent/pillion/boot:{root}:{root}/agent",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PILLION_RUN_DIR": str(self.run_dir),
            "PILLION_LOG": str(self.folder / "pillion.log"),
            "PILLION_RINGS_BYTES": "8G",
            "CHAOS_TRUTH": str(self.truth),
            **more,
        }

    def start(self) -> Running:
        """The collector, when it has said that it is ready. On a disk that is full it is started again."""
        free(self.socket)
        fixed = ["up", "--json", "--data", str(self.data), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        command = [*fixed, "--socket", str(self.socket), "--retention-bytes", "50GB"]
        end = time.monotonic() + READY_S
        while True:
            process = spawn(command, {"PILLION_RUN_DIR": str(self.run_dir)}, stderr=self.stderr.fileno(), session=True)
            assert process.stdout
            line = process.stdout.readline()
            if line:
                break
            process.wait()
            process.stdout.close()
            if time.monotonic() > end:
                raise RuntimeError(f"the collector never got ready: {self.said()}")
            time.sleep(0.2)
        ready = orjson.loads(line)
        self.collector = Running(process, ready["ui"], ready["grpc"], self.socket, self.data, self.run_dir)
        self.starts += 1
        return self.collector

    def said(self) -> str:
        """The end of what the collectors wrote to stderr."""
        return (self.folder / "collector.log").read_text(errors="replace")[-2000:]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ends the collector; its exit code."""
        collector, self.collector = self.collector, None
        if collector is None:
            return 0
        process = collector.process
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the collector didn't end at signal {number}: {self.said()}") from None
        finally:
            assert process.stdout
            process.stdout.close()

    def rings(self) -> list[Path]:
        return [path for path in (self.run_dir / "rings").glob("*") if path.suffix == ".ring"]

    def stats(self) -> dict[str, Any]:
        assert self.collector
        answer: dict[str, Any] = self.collector.get("/api/stats")
        return answer

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.end(signal.SIGKILL)
        self.relay.close()
        self.stderr.close()
        if self.disk:
            self.disk.close()


@contextlib.contextmanager
def node(disk_megabytes: int = 0, keep: Callable[[], bool] = lambda: False) -> Iterator[Node]:
    """A node in folders of its own. `keep`: whether they stay for somebody to look at."""
    folder = Path(tempfile.mkdtemp(prefix="pln-"))
    shared = Path(tempfile.mkdtemp(prefix="pln-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    one = Node(folder, shared, disk_megabytes)
    try:
        yield one
    finally:
        if keep() and one.disk and not one.disk.lack:
            shutil.copytree(one.data, folder / "data", dirs_exist_ok=True)
        one.close()
        if not keep():
            for each in (folder, shared):
                shutil.rmtree(each, ignore_errors=True)
