# SPDX-License-Identifier: Apache-2.0
"""Servers that fork their workers: gunicorn's classes and uWSGI, the application loaded before the fork and after."""

from __future__ import annotations

import http.client
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.agent.tasks.conftest import APPS, HERE, Programs, Started
from tests.support.servers import free_port

BIN = Path(sys.executable).parent
REQUESTS, WORKERS = 24, 2
GUNICORN = {
    "sync": ["web:app"],
    "gthread": ["--threads", "3", "web:app"],
    "gevent": ["web:app"],
    "uvicorn.workers.UvicornWorker": ["web:asgi"],
}
UWSGI = {"fork": [], "lazy": ["--lazy-apps"], "threads": ["--enable-threads", "--threads", "2"]}
Wait = Callable[[Callable[[], object]], None]


@dataclass
class Server:
    """One that listens, and what it answered."""

    started: Started
    port: int
    workers: set[str] = field(default_factory=set)

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def works(self) -> bool:
        """All workers are there: one that is told to end while it starts complains, with us and without."""
        assert self.started.process.poll() is None, self.started.process.communicate()
        try:
            with ThreadPoolExecutor(4) as askers:
                self.workers.update(askers.map(self.get, ["/worker"] * 8))
        except OSError:
            return False
        return len(self.workers) == WORKERS


def both(programs: Programs, command: list[str], paths: list[str], wait: Wait, **env: str) -> list[Server]:
    """Starts the server bare and traced, asks both the same, stops them; they must have answered and ended alike."""
    servers = []
    for traced in (True, False):
        port = free_port()
        each = [part.replace("PORT", str(port)) for part in command]
        servers.append(Server(programs.start(HERE, traced, each, PYTHONWARNINGS="default", **env), port))
    for server in servers:
        wait(server.works)
    answers = [[server.get(path) for path in paths] for server in servers]
    for server in servers:
        server.started.process.send_signal(signal.SIGTERM)
    for server in servers:
        server.started.end()
    assert answers[0] == answers[1]
    assert servers[0].started.said() == servers[1].started.said()
    assert servers[0].started.process.returncode == servers[1].started.process.returncode == 0
    return servers


def check(programs: Programs, master: int, loads: int, below_server: bool = False) -> None:
    """Every request is one trace of a worker, and the workers are told apart; `loads`: processes that imported;
    `below_server`: the application itself made the span of that name, below the server's."""
    spans = programs.sink.spans

    def have() -> bool:
        return (
            len(programs.sink.named("GET /double/<int:number>")) >= REQUESTS
            and len(programs.sink.named("import")) >= loads
        )

    programs.sink.wait(have)
    programs.sink.adopt()
    counts = Counter(re.sub(r"\d+$", "N", span.name) for span in spans if "worker" not in str(span.attributes))
    assert counts["work N"] == REQUESTS
    assert counts["import"] == loads
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        if span.name.startswith("work "):
            above = by_id[span.parent_id]
            assert above.name == "GET /double/<int:number>"
            if below_server:
                above = by_id[above.parent_id]
                assert above.scope == "pillion.asgi"
            assert above.parent_id == ""
            assert by_id[next(s.span_id for s in spans if s.parent_id == span.span_id)].name == "SELECT"
            assert span.resource["process.pid"] != master
    pids = {span.resource["process.pid"]: span.resource["service.instance.id"] for span in spans}
    assert len(set(pids.values())) == len(pids)
    assert not (programs.folder / "pillion.log").exists(), (programs.folder / "pillion.log").read_text()


PATHS = [f"/double/{number}" for number in range(REQUESTS)]


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
@pytest.mark.parametrize("worker", GUNICORN)
def test_gunicorn_serves_and_ends_as_ever_and_every_request_is_a_trace(
    programs: Programs, eventually: Wait, worker: str, preload: bool
):
    command = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:PORT", "-w", str(WORKERS), "-k", worker]
    command += ["--graceful-timeout", "3", "--no-control-socket", *(["--preload"] if preload else [])]
    # A pool of threads made before gevent's late patch hangs under it, with us and without.
    direct = {"DIRECT": "1"} if (worker, preload) == ("gevent", True) else {}
    traced, _ = both(programs, [*command, *GUNICORN[worker]], PATHS, eventually, **direct)
    check(programs, traced.started.process.pid, 1 if preload else WORKERS, below_server="Uvicorn" in worker)


@pytest.mark.parametrize("how", UWSGI)
def test_uwsgi_serves_and_ends_as_ever_and_every_request_is_a_trace(programs: Programs, eventually: Wait, how: str):
    """It embeds Python, forks by itself and reads PYTHONPATH as any Python does."""
    command = [
        str(BIN / "uwsgi"),
        "--http-socket",
        "127.0.0.1:PORT",
        "--module",
        "web:app",
        "--master",
        "--die-on-term",
    ]
    command += ["--processes", str(WORKERS), "--virtualenv", sys.prefix, "--need-app", "--pythonpath", str(APPS)]
    traced, _ = both(programs, [*command, *UWSGI[how]], PATHS, eventually, DIRECT="1")
    check(programs, traced.started.process.pid, WORKERS if how == "lazy" else 1)
