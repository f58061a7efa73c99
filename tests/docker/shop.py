# SPDX-License-Identifier: Apache-2.0
"""shop: docker/compose.yaml as a test drives it: up, asked, broken, updated, and gone again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.docker import bases
from tests.support.servers import free_port

PROJECT = "pillion-test"
FILE = bases.ROOT / "docker" / "compose.yaml"
APPS = ("web", "catalog", "orders", "mailer")
DEADLINE_S = 90.0
T = TypeVar("T")


def eventually(look: Callable[[], T], what: str | Callable[[], str], seconds: float = DEADLINE_S) -> T:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"never came: {what if isinstance(what, str) else what()}"
        time.sleep(0.3)
    return found


def lacks() -> str:
    """What keeps the containers from running here; empty when nothing does."""
    if os.environ.get("PILLION_DOCKER") != "full":
        return "containers take minutes: `make test-docker` runs them"
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        return "no docker engine answers"
    missing = [image for image in bases.variables().values() if not bases.exists(image)]
    return f"no image {missing[0]}: make test-docker makes it" if missing else ""


@dataclass
class Answer:
    """What a request came to, and the trace that it was asked under."""

    status: int
    body: str
    trace_id: str
    parent_id: str


@dataclass
class Shop:
    """The containers of one compose project."""

    ui: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    front: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")

    def compose(self, *arguments: str, **variables: str) -> str:
        """What a command of Compose prints."""
        command = ["docker", "compose"] if _works("docker", "compose", "version") else ["docker-compose"]
        ports = {"UI_PORT": self.ui.split(":")[1], "SHOP_PORT": self.front.split(":")[1], "TOO_LONG_EVERY": "0"}
        return said(*command, "-p", PROJECT, "-f", str(FILE), *arguments, **{**bases.variables(), **ports, **variables})

    def up(self) -> None:
        self.compose("build")
        self.compose("up", "-d")

    def down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def container(self, service: str) -> str:
        """The container's full id, running or not."""
        labels = {"project": PROJECT, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return said("docker", "ps", "-aq", "--no-trunc", *filters).strip()

    def execute(self, service: str, *command: str) -> str:
        """What a command prints that is run in the service's container."""
        return said("docker", "exec", self.container(service), *command)

    def pids(self, service: str) -> dict[int, str]:
        """The processes of a service: pid on this machine and command line."""
        return pids_of(self.container(service))

    def api(self, path: str) -> Any:
        """The collector's answer."""
        with urlopen(f"http://{self.ui}/api/{path}", timeout=30) as answer:
            return json.load(answer)

    def ask(self, path: str, front: str = "", **form: object) -> Answer:
        """A customer's request, under a trace of our own."""
        # As pillion's own trace ids: the second of their creation comes first.
        trace_id, parent_id = f"{int(time.time()):08x}{os.urandom(12).hex()}", os.urandom(8).hex()
        request = Request(
            f"http://{front or self.front}{path}",
            urlencode(form).encode() if form else None,
            {"traceparent": f"00-{trace_id}-{parent_id}-01"},
        )
        try:
            with urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.read().decode(), trace_id, parent_id)
        except HTTPError as error:
            return Answer(error.code, error.read().decode(), trace_id, parent_id)

    def trace(self, trace_id: str, enough: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
        """The spans of a trace, as soon as they are enough."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            nonlocal found
            try:
                found = self.api(f"traces/{trace_id}")["spans"]
            except OSError:  # not stored yet, or the collector isn't back yet
                return False
            return bool(enough(found))

        shown = ("service", "kind", "name", "span_id", "parent_id")
        eventually(look, lambda: f"spans of {trace_id}; there are {[[span[key] for key in shown] for span in found]}")
        return found


def pids_of(container: str) -> dict[int, str]:
    """The processes of a container."""
    lines = said("docker", "top", container, "-eo", "pid,args").splitlines()[1:]
    return {int(pid): args for pid, args in (line.split(None, 1) for line in lines)}


def maps(pid: int) -> str:
    """What a process has mapped; nothing when it is gone, as a health check's soon is."""
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def said(*command: str | Path, **variables: str) -> str:
    """What a command prints; it has to work."""
    ended = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=900)
    if ended.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{(ended.stdout + ended.stderr)[-4000:]}")
    return ended.stdout


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
