# SPDX-License-Identifier: Apache-2.0
"""The demo: a collector, the shop with two workers and the stock service under `pillion run`, traffic, a live summary.

Ends at Ctrl-C or SIGTERM, or after --seconds, and leaves nothing: no process, no port and no file but
build/demo/*.log. Ports that are taken are replaced by free ones.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from urllib.request import urlopen

from summary import Board, lines
from traffic import Traffic

HERE = Path(__file__).resolve().parent
LOGS = HERE.parents[1] / "build" / "demo"
PILLION = [sys.executable, "-m", "pillion"]


class Trouble(Exception):
    """Something did not come up; the text says what, and where to read more."""


def free_port(wanted: int) -> int:
    """`wanted` if nobody has it, else one that the kernel picks."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Trouble("no free port on 127.0.0.1")


class Troupe:
    """The demo's processes: started one by one, each with a log, ended in the opposite order."""

    def __init__(self, run_dir: Path, data: Path) -> None:
        self.run_dir = run_dir
        self.data = data
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: list[str], **variables: str) -> None:
        own = {"PILLION_RUN_DIR": str(self.run_dir), "PYTHONUNBUFFERED": "1"}
        with open(LOGS / f"{name}.log", "wb") as log:
            # A session of its own: Ctrl-C reaches this driver only, which ends the others in order.
            process = subprocess.Popen(
                command,
                cwd=HERE,
                env=os.environ | own | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append((name, process))

    def wait_for(self, name: str, url: str, seconds: float = 30) -> None:
        """Until `url` answers. A process that ended instead is an error, told with its last words."""
        deadline = time.monotonic() + seconds
        process = dict(self._running)[name]
        while time.monotonic() < deadline:
            if process.poll() is not None:
                said = (LOGS / f"{name}.log").read_text(errors="replace").strip().splitlines()[-5:]
                raise Trouble(f"{name} ended with code {process.returncode}:\n  " + "\n  ".join(said))
            with contextlib.suppress(OSError), urlopen(url, timeout=2):
                return
            time.sleep(0.05)
        raise Trouble(f"{name} did not answer on {url} within {seconds:.0f} s; see {LOGS / name}.log")

    def alive(self) -> str | None:
        """The name of a process that is gone, if one is."""
        return next((name for name, process in self._running if process.poll() is not None), None)

    def end(self) -> None:
        for _, process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._running.clear()


def start(troupe: Troupe) -> tuple[str, str]:
    """Starts all three; the addresses of the UI and of the shop."""
    http, grpc, shop, stock = (free_port(wanted) for wanted in (4320, 4317, 8000, 8001))
    ui, shop_url, stock_url = (f"http://127.0.0.1:{port}" for port in (http, shop, stock))
    collector = [*PILLION, "up", "--data", str(troupe.data / "store")]
    troupe.start("collector", [*collector, "--http", f"127.0.0.1:{http}", "--grpc", f"127.0.0.1:{grpc}"])
    troupe.wait_for("collector", ui + "/healthz")
    gunicorn = [sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{shop}"]
    gunicorn += ["--graceful-timeout", "3", "shop:app"]  # a worker that ends while it boots is not waited for longer
    troupe.start(
        "stock",
        [*PILLION, "run", "--service", "stock", "--", sys.executable, "stock.py", str(stock)],
        STOCK_DB=str(troupe.data / "stock.db"),
    )
    troupe.start("shop", [*PILLION, "run", "--service", "shop", "--", *gunicorn], STOCK_URL=stock_url)
    troupe.wait_for("stock", stock_url + "/products")
    troupe.wait_for("shop", shop_url)
    return ui, shop_url


def watch(troupe: Troupe, ui: str, ended: threading.Event, seconds: float) -> None:
    """Shows the summary until it is time: each second on a terminal, else every five."""
    board = Board()
    pause = 1.0 if board.in_place else 5.0
    deadline = time.monotonic() + seconds if seconds else float("inf")
    while True:
        left = deadline - time.monotonic()
        if ended.wait(max(0.0, min(pause, left))):
            return
        gone = troupe.alive()
        if gone:
            raise Trouble(f"{gone} is gone; see {LOGS / gone}.log")
        board.show(lines(ui))
        if left <= pause:
            return


def main() -> int:
    parser = argparse.ArgumentParser(description="the pillion demo")
    parser.add_argument("--seconds", type=float, default=0, help="end after this time (default: at Ctrl-C)")
    seconds = parser.parse_args().seconds
    ended = threading.Event()

    def leave(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    LOGS.mkdir(parents=True, exist_ok=True)
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # rings want a tmpfs
    folders = [Path(tempfile.mkdtemp(prefix="pillion-demo-", dir=place)) for place in (shared, LOGS)]
    troupe = Troupe(*folders)
    traffic = None
    try:
        ui, shop = start(troupe)
        traffic = Traffic(shop)
        traffic.start()
        print(f"See it in a browser: {ui}    the shop: {shop}    Ctrl-C ends it", flush=True)
        watch(troupe, ui, ended, seconds)
        print(f"{sum(traffic.answers.values())} requests sent; ended cleanly")
    except Trouble as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        if traffic:
            traffic.stop()
        troupe.end()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
