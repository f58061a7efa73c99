# SPDX-License-Identifier: Apache-2.0
"""Celery with Redis: prefork workers that are recycled after each job or killed in one, and its pool of threads."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.agent.tasks.conftest import HERE, Programs
from tests.support import servers

JOBS = 5
POOLS = {
    "prefork": ["--concurrency", "2", "--max-tasks-per-child", "1"],
    "threads": ["--concurrency", "4"],
}


@pytest.fixture
def redis() -> Iterator[str]:
    """A server of its own, in memory, on loopback."""
    with servers.redis() as port:
        if port is None:
            pytest.skip("needs redis-server (package redis-server)")
        yield f"redis://127.0.0.1:{port}"


def ask(url: str, deadly: bool) -> list[object]:
    """Sends the jobs and gives what came of them."""
    import celery

    with celery.Celery(broker=url, backend=url) as client:
        results = [client.send_task("double", (number,)) for number in range(JOBS)]
        answers: list[object] = [result.get(timeout=90) for result in results]
        for name in ["fail", "die"] if deadly else ["fail"]:
            error = client.send_task(name).get(timeout=90, propagate=False)
            answers.append(f"{type(error).__name__}: {error}")
    return answers


@pytest.mark.parametrize("pool", POOLS)
def test_celery_works_and_ends_as_ever_and_no_job_is_missing(programs: Programs, redis: str, pool: str):
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "jobs",
        "worker",
        "-P",
        pool,
        *POOLS[pool],
        "--loglevel",
        "WARNING",
    ]
    command += ["--without-gossip", "--without-mingle", "--hostname", "worker"]
    urls = [f"{redis}/{number}" for number in (0, 1)]
    environ = {"PYTHONWARNINGS": "default", "HOME": str(programs.folder), "C_FORCE_ROOT": "1"}
    started = [programs.start(HERE, url == urls[0], command, REDIS=url, **environ) for url in urls]
    deadly = pool == "prefork"
    answers = [ask(url, deadly) for url in urls]
    for each in started:
        each.process.send_signal(signal.SIGTERM)
    traced, bare = (each.end() for each in started)
    assert answers[0] == answers[1]
    assert answers[0][:JOBS] == [number * 2 for number in range(JOBS)]
    assert traced.said() == bare.said()
    assert traced.process.returncode == bare.process.returncode == 0
    spans = programs.taken(None)
    counts = Counter(span.name for span in spans)
    assert (counts["process double"], counts["process fail"]) == (JOBS, 1)
    alone = {span.name for span in spans if span.scope == "pillion.redis" and not span.parent_id}
    assert alone <= ({"GET", "MULTI"} if deadly else set()), "of a worker's own only what it stores of a job it lost"
    assert [counts[f"double {number}"] for number in range(JOBS)] == [1] * JOBS
    assert (counts["import"], counts["SELECT"], counts["fail"], counts["last"]) == (1, JOBS, 1, int(deadly))
    pids = {span.resource["process.pid"] for span in spans if span.name.startswith("double")}
    assert len(pids) == (JOBS if pool == "prefork" else 1)
    assert os.getpid() not in pids
