# SPDX-License-Identifier: Apache-2.0
"""From one version to the next and back, under load: no request fails, and whoever runs keeps what it was started from.

A real gunicorn preloads DIR/current/libpillion.so; its workers are replaced after some requests, whole servers by USR2,
while installs move `current` without a pause. UPDATE_ROUNDS says how many servers there are (`make update`: 25 more).
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.agent.tasks.conftest import session
from tests.inject import live_bundle
from tests.inject.conftest import install
from tests.support.receiver import run_dir, sink  # noqa: F401 (fixtures)
from tests.support.servers import free_port
from tests.support.sink import Sink
from tests.support.traced import AGENT, clean_environ

APPS = Path(__file__).resolve().parents[1] / "apps"
ROUNDS = int(os.environ.get("UPDATE_ROUNDS", "2"))
VERSIONS = ("7.0.1", "7.0.2")
PATIENCE = 60.0


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@dataclass
class Load:
    """Askers without a pause, each request a connection of its own."""

    port: int
    answers: int = 0
    failed: list[str] = field(default_factory=list)
    servers: set[int] = field(default_factory=set)
    workers: set[int] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            return f"{answer.status} {answer.read().decode()}"
        finally:
            connection.close()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                said = self.ask()
            except Exception as error:
                said = repr(error)
            self.answers += 1
            words = said.split()
            if words[:2] == ["200", "3"]:
                self.workers.add(int(words[2]))
                self.servers.add(int(words[3]))
            else:
                self.failed.append(said)


@dataclass
class Site:
    """The server, its folder of versions and its run directory."""

    target: Path
    bundles: list[Path]
    process: subprocess.Popen[bytes]
    load: Load
    log: Path

    def next_server(self, old: int) -> int:
        """Replaces the whole server: the new one answers, then the old one ends in order."""
        asked = 0.0

        def answers() -> set[int]:
            nonlocal asked
            if time.monotonic() - asked > 2:  # it turns a deaf ear until it knows that its own predecessor is gone
                asked = time.monotonic()
                os.kill(old, signal.SIGUSR2)
            return self.load.servers - {old, *self.gone}

        eventually(answers, "no new server answers")
        new = answers().pop()
        os.kill(old, signal.SIGTERM)
        self.gone.add(old)
        eventually(lambda: ended(old, self.process), "the old server doesn't end")
        return new

    def __post_init__(self) -> None:
        self.gone: set[int] = set()


def ended(pid: int, first: subprocess.Popen[bytes]) -> bool:
    if pid == first.pid:
        return first.poll() is not None
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


def roots(pid: int) -> set[str]:
    """The versions that a process has mapped libraries of."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    paths = {Path(line.split(None, 5)[5]) for line in lines if "libpillion.so" in line or "_native.so" in line}
    return {part for path in paths for part in path.parts if part in VERSIONS}


@pytest.fixture
def site(tmp_path: Path, run_dir: Path, sink: Sink) -> Iterator[Site]:  # noqa: F811
    target, log = tmp_path / "pillion", tmp_path / "gunicorn.log"
    bundles = [live_bundle.make(tmp_path / version, version) for version in VERSIONS]
    assert install("--to", target, "--from", bundles[0]).code == 0
    port = free_port()
    options = ["-b", f"127.0.0.1:{port}", "-w", "3", "--max-requests", "40", "--max-requests-jitter", "20"]
    command = [sys.executable, "-m", "gunicorn", *options, "--no-control-socket", "--graceful-timeout", "30"]
    ours = {"LD_PRELOAD": str(target / "current/libpillion.so"), "PILLION_RUN_DIR": str(run_dir)}
    ours["PILLION_LOG"] = str(tmp_path / "pillion.log")
    with log.open("wb") as err:
        process = subprocess.Popen(
            [*command, "--pythonpath", str(APPS), "update_site:app"],
            env=clean_environ(**ours),
            stdin=subprocess.DEVNULL,
            stdout=err,
            stderr=err,
            start_new_session=True,
            cwd=tmp_path,
        )
    load = Load(port)
    made = Site(target, bundles, process, load, log)
    try:
        eventually(lambda: answers(load), "the server doesn't answer")
        yield made
    finally:
        load.stop.set()
        for pid in session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def answers(load: Load) -> bool:
    try:
        return load.ask().startswith("200 ")
    except OSError:
        return False


def switch(site: Site, stop: threading.Event, done: list[int]) -> None:
    """Moves `current` as fast as it goes, by both commands, in processes of their own."""
    environ = clean_environ(PYTHONPATH=str(AGENT))
    line = [sys.executable, "-m", "pillion_inject", "install", "--to", str(site.target)]
    ways = [
        ["--from", str(site.bundles[1])],
        ["--use", VERSIONS[0]],
        ["--use", VERSIONS[1]],
        ["--from", str(site.bundles[0])],
    ]
    while not stop.is_set():
        way = ways[len(done) % len(ways)]
        done.append(subprocess.run([*line, *way], env=environ, stdout=subprocess.DEVNULL).returncode)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (folder / "processes").glob("*.json")]


@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_update_and_rollback_under_load_fail_no_request_and_each_server_stays_with_its_version(
    site: Site,
    run_dir: Path,  # noqa: F811
    sink: Sink,  # noqa: F811
) -> None:
    askers = [threading.Thread(target=site.load.run) for _ in range(3)]
    for asker in askers:
        asker.start()
    first = site.process.pid
    eventually(lambda: len(site.load.workers) > 3, "no worker is replaced")
    assert roots(first) == {VERSIONS[0]}

    # The update: what runs stays as it is, its new workers too; the next server is of the new version.
    assert install("--to", site.target, "--from", site.bundles[1]).code == 0
    workers = len(site.load.workers)
    eventually(lambda: len(site.load.workers) > workers + 2, "no worker is replaced")
    assert roots(first) == {VERSIONS[0]}
    said = install("--to", site.target, "--remove", VERSIONS[0])
    assert said.code == 7 and f"{first}" in said.err
    second = site.next_server(first)
    assert roots(second) == {VERSIONS[1]}

    # And back.
    assert install("--to", site.target, "--use", VERSIONS[0]).code == 0
    assert roots(second) == {VERSIONS[1]}
    server = site.next_server(second)
    assert roots(server) == {VERSIONS[0]}

    # Now at any moment of a switch.
    stop, done = threading.Event(), list[int]()
    switcher = threading.Thread(target=switch, args=(site, stop, done))
    switcher.start()
    for _ in range(ROUNDS):
        server = site.next_server(server)
        assert len(roots(server)) == 1
    stop.set()
    switcher.join()
    site.load.stop.set()
    for asker in askers:
        asker.join()
    os.kill(server, signal.SIGTERM)
    eventually(lambda: ended(server, site.process), "the last server doesn't end")

    assert site.load.failed == []
    assert site.load.answers > 100
    assert done and set(done) == {0}
    assert "ld.so" not in site.log.read_text() and "Traceback" not in site.log.read_text(), site.log.read_text()
    assert not (site.log.parent / "pillion.log").exists(), (site.log.parent / "pillion.log").read_text()
    check_records(site, run_dir, sink)


def check_records(site: Site, run_dir: Path, sink: Sink) -> None:  # noqa: F811
    """Each server was injected, by one version alone, and its spans say the same."""
    found = records(run_dir)
    assert len(found) == len(site.load.servers) == ROUNDS + 3
    for record in found:
        assert record["decision"] == "injected", record
        assert record["root"] == str(site.target / record["pillion"]), record
    assert {record["pillion"] for record in found} == set(VERSIONS)
    sink.wait(lambda: len(sink.named("SELECT")) >= site.load.answers, PATIENCE)
    assert {span.resource["telemetry.distro.version"] for span in sink.spans} == set(VERSIONS)
