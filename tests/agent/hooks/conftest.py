# SPDX-License-Identifier: Apache-2.0
"""What the hooks' tests share: programs of tests/apps run as processes, bare and traced, and the spans that come."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.sink import Sink, Span
from tests.support.traced import AGENT, clean_environ

APPS = Path(__file__).resolve().parents[2] / "apps"
sys.path.insert(0, str(APPS))  # the tests look at some programs from inside
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
STATUS = {0: "unset", 1: "ok", 2: "error"}


@dataclass
class Run:
    """How a program ended, and its spans in the order of their start, with kind and status as words."""

    code: int
    out: str
    err: str
    log: str = ""
    spans: list[Span] = field(default_factory=list)
    seen: dict[str, dict[str, str]] = field(default_factory=dict)  # what reached the program's server
    told: list[tuple[object, ...]] = field(default_factory=list)  # of each request: name, path, outcome

    def named(self, name: str) -> Span:
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans {name!r} among {[span.name for span in self.spans]}"
        return found[0]

    def of_kind(self, kind: str) -> list[Span]:
        return [span for span in self.spans if span.kind == kind]


@dataclass
class Receiver:
    """Runs programs under `pillion run`, with the sink as their collector."""

    folder: Path
    sink: Sink

    def environment(self, **extra: str) -> dict[str, str]:
        ours = {"PILLION_RUN_DIR": str(self.folder), "PILLION_LOG": str(self.folder / "pillion.log")}
        path = os.pathsep.join(map(str, (AGENT, APPS, APPS / "patient")))
        return clean_environ(**{**ours, "PYTHONPATH": path, "PYTHONHASHSEED": "0", **extra})

    def log(self) -> str:
        """pillion's own log since the last time."""
        path = self.folder / "pillion.log"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text

    def take(self) -> list[Span]:
        with self.sink.changed:
            taken, self.sink.spans = self.sink.spans, []
        words = (dataclasses.replace(span, kind=KINDS[span.kind], status=STATUS[span.status]) for span in taken)
        return sorted(words, key=lambda span: span.start_ns)

    def all(self) -> list[Span]:
        """What processes left that have ended, too."""
        self.sink.wait(lambda: not any((self.folder / "rings").glob("*.ring")))
        return self.take()

    def run(self, program: str, *args: str, **extra: str) -> Run:
        command = [sys.executable, "-m", "pillion", "run", "--", sys.executable, str(APPS / program), *args]
        ended = subprocess.run(command, env=self.environment(**extra), capture_output=True, text=True, timeout=100)
        return Run(ended.returncode, ended.stdout, ended.stderr, self.log(), self.take())

    def bare(self, program: str, *args: str, **extra: str) -> Run:
        command = [sys.executable, str(APPS / program), *args]
        environment = self.environment(**{"PYTHONPATH": str(APPS), **extra})
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
        return Run(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    folder = Path(tempfile.mkdtemp(prefix="pillion-test-", dir="/dev/shm"))
    sink = Sink(folder)
    yield Receiver(folder, sink)
    sink.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def traced(receiver: Receiver) -> Callable[..., Run]:
    """Runs a program bare and traced, demands that nobody could tell the difference, and gives the traced run.

    A run that an earlier test had is given again: look at it, don't change it."""
    done: dict[object, Run] = {}

    def run(program: str, *args: str, **extra: str) -> Run:
        key = (program, args, tuple(extra.items()))
        if key not in done:
            bare = receiver.bare(program, *args, **extra)
            run = receiver.run(program, *args, **extra)
            assert (run.code, run.out, run.err) == (bare.code, bare.out, bare.err)
            assert run.log == ""
            done[key] = run
        return done[key]

    return run


@pytest.fixture
def called(traced: Callable[..., Run], receiver: Receiver) -> Callable[..., Run]:
    """Runs one part of the program of HTTP clients; gives what the spans tell and the headers that arrived, too."""

    def run(part: str, **extra: str) -> Run:
        seen = receiver.folder / "-".join((part, *extra, "seen"))
        run = traced("http_calls.py", part, str(seen), **extra)
        run.seen = dict(json.loads(seen.read_text())["seen"])
        run.told = [
            (
                span.name,
                str(span.attributes["url.full"]).split("/", 3)[3],
                span.attributes.get("http.response.status_code", span.attributes.get("error.type")),
            )
            for span in run.spans
        ]
        return run

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The port of a PostgreSQL, as programs want it in PGPORT."""
    with servers.postgres() as port:
        if port is None:
            pytest.skip("needs PostgreSQL (package postgresql)")
        yield str(port)
