# SPDX-License-Identifier: Apache-2.0
"""`make demo-docker`: builds and starts compose.yaml, shows how far it is, and removes it again at Ctrl-C.

Works with Compose v2 and docker-compose 1.29. The base images are compose.yaml's variables (PYTHON_IMAGE, MUSL_IMAGE,
REDIS_IMAGE, POSTGRES_IMAGE), from the environment or from a file docker/.env; ports that are taken are replaced by
free ones. What Docker says goes to build/demo-docker.log. Containers, networks and volumes are removed at the end; the
images stay, for the next start.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
LOG = HERE.parent / "build" / "demo-docker.log"
PROJECT = "pillion-demo"
READY = {"healthy", "running", "exited 0"}
PATIENCE = 300.0  # seconds from the first container to the last healthy one

LOOK = """
The shop is up, and none of its images knows pillion.

  the UI      {ui}
  the shop    {shop}    buy something, then look for POST /checkout under Traces: one trace leads
              through web, catalog, orders, PostgreSQL and Redis to the mailer
  a crash     {shop}/report?days=10000000    its table outgrows the memory of orders' container:
              Crashes shows the killed worker and the request that did it
  who is in   Processes has every process with its container; why one is left alone: {why}

Ctrl-C ends it and removes the containers, networks and volumes.
"""


class Trouble(Exception):
    """It can't be done here; the text says what is missing and what to do."""


def works(*command: str) -> bool:
    """Whether a command exists and ends well."""
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def said(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True).stdout


def compose_command() -> list[str]:
    """Compose as it is installed here."""
    if not shutil.which("docker"):
        raise Trouble("docker isn't installed: https://docs.docker.com/engine/install, or apt-get install docker.io")
    if not works("docker", "info"):
        raise Trouble(
            "docker doesn't answer: start it (systemctl start docker, or dockerd); be root or in group docker"
        )
    for command in (["docker", "compose"], ["docker-compose"]):
        if works(*command, "version"):
            return [*command, "-p", PROJECT, "-f", str(HERE / "compose.yaml")]
    raise Trouble("docker has no Compose: install the package docker-compose-plugin or docker-compose")


def base_images() -> dict[str, str]:
    """compose.yaml's variables for images and what they come to here."""
    defaults = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", (HERE / "compose.yaml").read_text()))
    with contextlib.suppress(OSError):
        defaults |= dict(re.findall(r"^(\w+_IMAGE)=(\S+)", (HERE / ".env").read_text(), re.MULTILINE))
    return {name: os.environ.get(name) or image for name, image in defaults.items()}


def get_images() -> None:
    """Sees that each base image is here."""
    for name, image in base_images().items():
        if works("docker", "image", "inspect", image):
            continue
        print(f"getting {image}", flush=True)
        if not works("docker", "pull", "-q", image):
            raise Trouble(f"no image {image}, and it can't be pulled: name another by {name}=… (or in docker/.env)")


def free_port(wanted: int) -> int:
    """`wanted` if nobody has it, else one that the kernel picks."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Trouble("no free port on 127.0.0.1")


class Shop:
    """The compose project: built, started, watched, removed."""

    def __init__(self, command: list[str], ended: threading.Event, **variables: str) -> None:
        self._command = command
        self._ended = ended
        self._environment = os.environ | variables

    def run(self, *arguments: str, whatever: bool = False) -> None:
        """One command of Compose, cut short when it is time to end, unless it runs `whatever` comes.

        Its words go to the log; if it fails, the last of them are the trouble.
        """
        with open(LOG, "ab") as log:
            # A session of its own: Ctrl-C reaches this driver only, which ends it in order.
            running = subprocess.Popen(
                [*self._command, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while running.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.2)
            if self._ended.is_set() and not whatever:
                running.terminate()
        if running.returncode and (whatever or not self._ended.is_set()):
            said = LOG.read_text(errors="replace").strip().splitlines()[-12:]
            raise Trouble(f"docker compose {arguments[0]} failed (all of it: {LOG}):\n  " + "\n  ".join(said))

    def states(self) -> dict[str, str]:
        """Each service: healthy, starting, unhealthy, running (nothing checks it), exited CODE …"""
        label = f"label=com.docker.compose.project={PROJECT}"
        found = said("docker", "ps", "-aq", "--filter", label).split()
        listed = said("docker", "inspect", *found) if found else "[]"
        states = {}
        for container in json.loads(listed or "[]"):
            state, labels = container["State"], container["Config"]["Labels"]
            text = state.get("Health", {}).get("Status") if state["Running"] else None
            ended = f"exited {state['ExitCode']}" if state["Status"] == "exited" else state["Status"]
            states[labels["com.docker.compose.service"]] = text or ended
        return states

    def start(self) -> None:
        """Until every service is ready, or it is told to end; each step is shown once."""
        with ThreadPoolExecutor(1) as pool:
            self._watch(pool.submit(self.run, "up", "-d"))

    def _watch(self, starter: Future[None]) -> None:
        shown: dict[str, str] = {}
        deadline = time.monotonic() + PATIENCE
        while not self._ended.wait(0.5):
            states = self.states()
            for service, state in states.items():
                if state != shown.get(service) and state not in {"created", "starting"}:
                    print(f"  {service:<10} {state}", flush=True)
            shown = states
            if starter.done():
                starter.result()
                if set(states.values()) <= READY:
                    return
            if time.monotonic() > deadline:
                self._ended.set()
                late = ", ".join(f"{service} ({state})" for service, state in states.items() if state not in READY)
                raise Trouble(f"not up after {PATIENCE:.0f} s: {late}; {' '.join(self._command)} logs")


def show(command: list[str], seconds: float, ended: threading.Event) -> None:
    """From nothing to a running shop, and back."""
    ports = {"UI_PORT": str(free_port(4320)), "SHOP_PORT": str(free_port(8000))}
    shop = Shop(command, ended, **ports)
    print(f"building the images (first time: a few minutes; log: {LOG})", flush=True)
    shop.run("build")
    if ended.is_set():
        return
    try:
        print("starting", flush=True)
        shop.start()
        ui, web = (f"http://127.0.0.1:{ports[name]}" for name in ("UI_PORT", "SHOP_PORT"))
        if not ended.is_set():
            print(LOOK.format(ui=ui, shop=web, why=f"{ui}/api/why"), flush=True)
            ended.wait(seconds or None)
    finally:
        print("removing it", flush=True)
        shop.run("down", "--volumes", "--remove-orphans", "--timeout", "5", whatever=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="the demo in containers")
    parser.add_argument("--check", action="store_true", help="only say whether docker and the base images are here")
    parser.add_argument("--seconds", type=float, default=0, help="end after this time (default: at Ctrl-C)")
    told = parser.parse_args()
    ended = threading.Event()

    def leave(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    try:
        command = compose_command()
        get_images()
        if not told.check:
            show(command, told.seconds, ended)
    except Trouble as error:
        print(f"demo-docker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
