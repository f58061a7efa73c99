# SPDX-License-Identifier: Apache-2.0
"""celery: sender and run are in one trace over a real broker, in eager mode too, and a task sees what it saw before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.agent.hooks.conftest import APPS, Receiver, Run
from tests.support import servers

OWN = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
SAID = f"""5
7
1
asked
integer division or modulo by zero
[None, [None, None, None, None]]
[{{'traceparent': '{OWN}', 'mine': 'yes'}}, ['{OWN}', None, None, None]] ['mine', 'traceparent']
"""


@pytest.fixture(scope="module", params=["prefork", "threads"])
def run(receiver: Receiver, request: pytest.FixtureRequest) -> Iterator[Run]:
    """What a worker and who asks it recorded, both traced."""
    with servers.redis() as port:
        if port is None:
            pytest.skip("needs redis-server (package redis-server)")
        traced = {"REDIS": f"redis://127.0.0.1:{port}", "C_FORCE_ROOT": "1", "HOME": str(receiver.folder)}
        command = [sys.executable, "-m", "pillion", "run", "--", sys.executable, "-m", "celery", "-A", "celery_shop"]
        command += ["worker", "-P", request.param, "-c", "2", "--loglevel", "WARNING", "--hostname", "worker"]
        worker = subprocess.Popen(
            command, env=receiver.environment(**traced), cwd=APPS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            asked = receiver.run("celery_shop.py", **traced)
        finally:
            os.kill(worker.pid, signal.SIGTERM)
            said, _ = worker.communicate(timeout=servers.PATIENCE)
        assert (asked.out, asked.err, worker.returncode) == (SAID, "", 0), said.decode()
        asked.log += receiver.log()
        asked.spans = sorted(asked.spans + receiver.all(), key=lambda span: span.start_ns)
        yield asked


def way(run: Run, span) -> list[str]:
    """The names from a span up to its root."""
    by_id = {each.span_id: each for each in run.spans}
    names = [span.name]
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        names.append(span.name)
    return names


def test_each_run_is_the_child_of_what_sent_it(run):
    assert run.log == ""
    assert sorted(way(run, span) for span in run.spans if span.name == "adding") == [
        ["adding", "process shop.add", "send shop.add", "process shop.add", "send shop.add", "request"],
        ["adding", "process shop.add", "send shop.add", "process shop.asks", "send shop.asks", "request"],
        ["adding", "process shop.add", "send shop.add", "request"],
        ["adding", "process shop.add", "send shop.add", "request"],
    ]
    [request] = [span for span in run.spans if span.name == "request"]
    assert len({span.trace_id for span in run.spans if span.scope != "pillion.redis"}) == 5, (
        "of the request, three that were asked outside of it, and one of the application's own"
    )
    assert {span.kind for span in run.spans if span.name.startswith("send ")} == {"PRODUCER"}
    assert {span.kind for span in run.spans if span.name.startswith("process ")} == {"CONSUMER"}
    assert request.resource["process.pid"] not in {
        span.resource["process.pid"] for span in run.spans if span.kind == "CONSUMER"
    }


def test_worker_s_own_traffic_is_no_span_but_what_it_stores_of_a_result_is(run):
    [client] = {span.resource["process.pid"] for span in run.spans if span.name == "request"}
    of_worker = [s for s in run.spans if s.scope == "pillion.redis" and s.resource["process.pid"] != client]
    assert {way(run, span)[1].partition(" ")[0] for span in of_worker} == {"process"}
    assert {span.name for span in of_worker} <= {"GET", "MULTI", "SET", "SETEX", "PUBLISH"}
    sent = {span.span_id for span in run.of_kind("PRODUCER")}
    assert not [span for span in run.spans if span.scope == "pillion.redis" and span.parent_id in sent]


def test_retry_is_no_error_and_its_next_attempt_is_sent_by_it(run):
    first, second = (span for span in run.spans if span.name == "process shop.flaky")
    assert way(run, second)[1:3] == ["send shop.flaky", "process shop.flaky"]
    assert (first.status, first.attributes["pillion.task.state"]) == ("unset", "RETRY")
    assert [attributes["exception.type"] for _, attributes in first.events] == ["KeyError"]
    assert (second.status, second.attributes["pillion.task.retries"], second.events) == ("unset", 1, [])


def test_failure_is_the_error_of_the_run(run):
    [failed] = [span for span in run.spans if span.name == "process shop.broken"]
    assert (failed.status, failed.attributes["error.type"]) == ("error", "ZeroDivisionError")
    [(_, attributes)] = failed.events
    assert "in broken" in attributes["exception.stacktrace"]
    assert [span.status for span in run.spans if span.name == "send shop.broken"] == ["unset"]


def test_both_sides_name_the_message_and_its_queue(run):
    sent, done = (next(span for span in run.spans if span.name == f"{verb} shop.add") for verb in ("send", "process"))
    assert sent.attributes["messaging.message.id"] == done.attributes["messaging.message.id"]
    for span, verb in ((sent, "send"), (done, "process")):
        told = dict(span.attributes)
        told.pop("messaging.message.id")
        assert told == {
            "messaging.system": "celery",
            "messaging.operation.name": verb,
            "messaging.operation.type": verb,
            "messaging.destination.name": "celery",
        }


def test_traceparent_of_the_application_is_the_one_that_counts(run):
    _, own = (span for span in run.spans if span.name == "process shop.seen")
    assert (own.trace_id, own.parent_id) == ("1" * 32, "2" * 16)


def test_eager_mode_has_the_runs_without_a_broker(traced):
    run = traced("celery_shop.py", "eager")
    assert sorted(way(run, span) for span in run.spans if span.name == "adding") == [
        ["adding", "process shop.add", "process shop.asks", "request"],
        ["adding", "process shop.add", "request"],
        ["adding", "process shop.add", "request"],
        ["adding", "process shop.add", "request"],
    ]
    assert not run.of_kind("PRODUCER")
    assert run.named("process shop.broken").attributes["error.type"] == "ZeroDivisionError"


def test_hook_switched_off_leaves_neither_span_nor_header(traced):
    run = traced("celery_shop.py", "eager", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="celery")
    assert {span.name for span in run.spans} == {"request", "adding"}
