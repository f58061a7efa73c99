# SPDX-License-Identifier: Apache-2.0
"""What the tests of forks, threads and tasks share: programs of tests/apps/tasks, each run bare and traced at once.

A pair of runs must end alike: output, errors, exit code, nothing left behind; warnings are errors. Programs print a
census of their descriptors, threads and children, so these are compared too. The traced run's spans come to the sink.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts import pythons
from tests.support.sink import Sink, Span
from tests.support.traced import AGENT, clean_environ

APPS = Path(__file__).resolve().parents[2] / "apps" / "tasks"
LATER = ("3.12", "3.13")  # these warn when a process forks that has threads
PATIENCE = 60.0  # seconds; a machine may be busy


@dataclass
class Python:
    """An interpreter, and the package that is injected into it."""

    executable: str
    agent: Path

    def environ(self, traced: bool, run_dir: Path, folder: Path, **more: str) -> dict[str, str]:
        """Of a program. The venv's packages of plain Python serve the other versions as well."""
        path = [APPS, sysconfig.get_path("purelib")]
        ours = {"OTEL_METRIC_EXPORT_INTERVAL": "1500"}  # the sender stays for them, and a second longer
        if traced:
            path.insert(0, self.agent / "pillion" / "boot")
            ours.update(PILLION_RUN_DIR=str(run_dir), PILLION_LOG=str(folder / "pillion.log"))
        python = {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "0"}
        return clean_environ(**{**python, "PYTHONUNBUFFERED": "1", **ours, **more})


HERE = Python(sys.executable, AGENT)


@dataclass
class Started:
    """One run of a program, in a session and a folder of its own."""

    process: subprocess.Popen[str]
    place: str
    out: str = ""
    err: str = ""

    def end(self, said: str | None = None) -> Started:
        """Waits for it, and for all that it started; what doesn't end is killed and fails the test."""
        try:
            self.out, self.err = self.process.communicate(said, PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGABRT)
            self.out, self.err = self.process.communicate()
            raise AssertionError(f"{self.process.args} hangs:\n{self.out}\n{self.err}") from None
        deadline = time.monotonic() + PATIENCE / 3
        while (left := session(self.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, f"{self.process.args} left processes behind"
        return self

    def said(self) -> list[str]:
        """Its log without numbers, ids and what a race decides: which worker says what first, and how often."""
        text = re.sub(r"0x[0-9a-f]+|\d+", "N", (self.out + self.err).replace(self.place, "PLACE"))
        return sorted({re.sub(r"\[[^]]*N[^]]*\]", "[N]", line) for line in text.splitlines()})


def session(leader: int) -> list[int]:
    """The processes of a session that are still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
        except OSError:  # gone by now
            continue
        if int(fields[3]) == leader:
            found.append(int(path.parent.name))
    return found


@dataclass
class Ended:
    """What a pair of runs gave: both the same to the byte, and the spans of the traced one."""

    code: int
    out: str
    err: str
    spans: list[Span] = field(default_factory=list)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        found = self.named(name)
        assert len(found) == 1, f"{len(found)} spans {name!r} among {[span.name for span in self.spans]}"
        return found[0]

    def tree(self) -> dict[str, list[str]]:
        """Each span's name with the names on the way to its root, sorted: the shape without the ids."""
        by_id = {span.span_id: span for span in self.spans}
        assert len(by_id) == len(self.spans), "a span came twice"
        shape: dict[str, list[str]] = {}
        for span in self.spans:
            way, at = [], span
            while at.parent_id:
                at = by_id[at.parent_id]
                assert at.trace_id == span.trace_id
                way.append(at.name)
            shape.setdefault(span.name, []).append(" < ".join(way))
        return {name: sorted(ways) for name, ways in sorted(shape.items())}


@dataclass
class Programs:
    """Runs programs bare and traced."""

    run_dir: Path
    folder: Path
    sink: Sink
    leaders: list[int] = field(default_factory=list)

    def start(
        self, python: Python, traced: bool, command: list[str], stdin: int = subprocess.DEVNULL, **env: str
    ) -> Started:
        """Starts one run. The folder's name says nothing about which it is."""
        place = self.folder / ("a" if traced else "b")
        place.mkdir(exist_ok=True)
        environ = python.environ(traced, self.run_dir, self.folder, **env)
        process = subprocess.Popen(
            command,
            cwd=place,
            env=environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.leaders.append(process.pid)
        return Started(process, str(place))

    def pair(self, program: str, *args: str, spans: int, python: Python = HERE, **env: str) -> Ended:
        """Runs the program twice at once, bare and traced: the same to the byte, and `spans` spans come of one."""
        script = [python.executable, str(APPS / program), *args]
        return self.command(script, spans=spans, python=python, **env)

    def command(self, command: list[str], *, spans: int | None, python: Python = HERE, **env: str) -> Ended:
        """The same for any command line; None: however many spans."""
        started = [self.start(python, traced, command, **env) for traced in (True, False)]
        traced, bare = (each.end() for each in started)
        for each in (traced, bare):  # addresses aren't the same twice
            each.out, each.err = (re.sub(r"0x[0-9a-f]{8,}", "0x", text) for text in (each.out, each.err))
        assert traced.out == bare.out
        assert traced.err == bare.err
        assert traced.process.returncode == bare.process.returncode
        return Ended(traced.process.returncode, traced.out, traced.err, self.taken(spans))

    def taken(self, count: int | None) -> list[Span]:
        """Exactly so many spans, or all, when they have come; pillion's own log must be empty."""
        folder = self.run_dir / "rings"
        if count is None:
            self.sink.wait(lambda: not any(folder.glob("*.ring")), PATIENCE / 3)
        else:
            self.sink.wait(lambda: len(self.sink.spans) >= count, PATIENCE / 3)
        log = self.folder / "pillion.log"
        assert not log.exists(), log.read_text()
        self.sink.adopt()
        with self.sink.changed:
            spans, self.sink.spans = self.sink.spans, []
        assert count in (None, len(spans)), [span.name for span in spans]
        return spans


@pytest.fixture
def programs(run_dir: Path, sink: Sink, tmp_path: Path) -> Iterator[Programs]:
    made = Programs(run_dir, tmp_path, sink)
    yield made
    for pid in [pid for leader in made.leaders for pid in session(leader)]:  # of a test that failed
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=["here", *LATER])
def python(request: pytest.FixtureRequest) -> Python:
    """The venv's interpreter, and those that warn of forks beside threads: built once, skipped where absent."""
    if request.param == "here":
        return HERE
    found, reason = pythons.find(request.param)
    if found is None:
        pytest.skip(reason)
    return Python(found, pythons.build(request.param, found))


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Polls until something holds."""

    def wait(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return wait
