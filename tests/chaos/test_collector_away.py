# SPDX-License-Identifier: Apache-2.0
"""A collector that is away: stopped, killed, hung, slow, shut off, its disk full. Nothing is missing, none comes twice,
and the application neither waits nor ends later.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chaos import truth
from tests.chaos.load import APPS
from tests.chaos.node import Node, node
from tests.chaos.relay import Mode, free
from tests.chaos.run import adopted
from tests.chaos.verdict import Store, Verdict, judge
from tests.native.grpc_peer import fail, reference

PATIENCE_S = 60.0
SPANS = 20_000  # ten seconds at 2,000 a second


@pytest.fixture
def stage() -> Iterator[Node]:
    with node() as one:
        yield one


@contextlib.contextmanager
def producing(stage: Node, rate: int, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of two threads that ends in order when the test leaves the block."""
    command = [sys.executable, str(APPS / "producer.py"), "--plain", "--threads", "2", "--rate", str(rate)]
    process = subprocess.Popen(command, env=stage.environ(**environ))
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def until(question: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not question():
        assert time.monotonic() < end, f"never {what}"
        time.sleep(0.02)


def more_spans(stage: Node, number: int) -> None:
    """Returns when so many more have been ended than now."""

    def made() -> int:
        return sum(account.ended for account in truth.read(stage.truth))

    goal = made() + number
    until(lambda: made() >= goal, f"{goal} spans ended")


def reckoned(stage: Node) -> Verdict:
    """Everything has ended: rings adopted, the collector stopped, three accounts compared. Faults fail the test."""
    assert adopted(stage) == 0
    assert stage.end() == 0, stage.said()
    verdict = judge(list(truth.read(stage.truth)), Store(stage.data))
    assert verdict.faults == []
    return verdict


def stop_and_start(stage: Node, number: signal.Signals) -> Iterator[None]:
    stage.end(number)
    yield
    stage.start()


def hang(stage: Node) -> Iterator[None]:
    assert stage.collector
    stage.collector.process.send_signal(signal.SIGSTOP)
    yield
    stage.collector.process.send_signal(signal.SIGCONT)


def behind(stage: Node, mode: Mode) -> Iterator[None]:
    stage.relay.become(mode)
    yield
    stage.relay.become(Mode.PASS)


AWAY: dict[str, Callable[[Node], Iterator[None]]] = {
    "stopped": lambda stage: stop_and_start(stage, signal.SIGTERM),
    "killed": lambda stage: stop_and_start(stage, signal.SIGKILL),
    "hung": hang,
    "slow": lambda stage: behind(stage, Mode.SLOW),
    "deaf": lambda stage: behind(stage, Mode.HANG),
    "refusing": lambda stage: behind(stage, Mode.REFUSE),
}


@pytest.mark.parametrize("how", AWAY)
def test_nothing_is_missing_and_none_twice_after_ten_seconds_of_spans_without_a_collector(
    stage: Node, how: str
) -> None:
    stage.start()
    rate = 2000 if how == "stopped" else 10_000  # one of them in its full length, the others with as many spans
    with producing(stage, rate):
        more_spans(stage, 500)
        going = AWAY[how](stage)
        next(going)
        more_spans(stage, SPANS)
        next(going, None)
        more_spans(stage, 500)
    verdict = reckoned(stage)
    assert (verdict.missing, verdict.dropped.total()) == (0, 0)
    assert verdict.stored == verdict.recorded == verdict.ended > SPANS


def test_nothing_is_missing_after_a_full_disk() -> None:
    with node(disk_megabytes=400) as stage:
        assert stage.disk
        if stage.disk.lack:
            pytest.skip(f"needs a tmpfs of its own: {stage.disk.lack}")
        stage.start()
        with producing(stage, 5000):
            more_spans(stage, 500)
            stage.disk.fill()
            more_spans(stage, SPANS)
            stage.disk.empty()
            more_spans(stage, 500)
        verdict = reckoned(stage)
        assert (verdict.missing, verdict.dropped.total()) == (0, 0)


PHASES = """
import json, sys
from pillion import _native
from tests.chaos import truth
for line in sys.stdin:
    for _ in range(int(line)):
        truth.span("phase", text="x" * 100)
    stats = _native.stats()
    stats["rss"] = int(open("/proc/self/statm").read().split()[1]) * 4096
    switches = [line for line in open("/proc/thread-self/status") if line.startswith("voluntary_ctxt")]
    stats["waits"] = int(switches[0].split()[1])
    print(json.dumps(stats), flush=True)
"""


class Phases:
    """A process that makes as many spans as it is told, then tells of itself."""

    def __init__(self, stage: Node, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PHASES],
            env=stage.environ(**environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def make(self, spans: int) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{spans}\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def end(self) -> None:
        """Within a time in which nobody can have waited for PILLION_EXIT_TIMEOUT."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            assert self.process.wait(PATIENCE_S) == 0
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def test_a_full_ring_drops_the_newest_counts_them_and_recovers(stage: Node) -> None:
    phases = Phases(stage, PILLION_RING_BYTES="1M")
    full = phases.make(SPANS)
    dropped = full["dropped_full"]
    assert 0 < dropped < SPANS - 1000
    stage.start()
    until(lambda: stage.stats()["processes"][0]["stored"] == SPANS - dropped, "everything stored that was kept")
    after = phases.make(100)
    phases.end()
    assert after["dropped_full"] == dropped
    verdict = reckoned(stage)
    assert verdict.missing == dropped == verdict.dropped["full"]
    store = Store(stage.data)
    rows = store.db.execute('SELECT entries[3]."value"::INTEGER FROM spans').fetchall()
    numbers = {row[0] for row in rows}
    assert numbers >= {*range(1, 1001), *range(SPANS + 1, SPANS + 101)}  # the oldest, and those after the recovery


@pytest.mark.parametrize("how", ["there", "absent", *AWAY])
def test_no_span_waits_and_no_exit_either_whatever_the_collector_does(stage: Node, how: str) -> None:
    """Counted by the times that the kernel put the application's thread to sleep, not by the clock."""
    stage.start()
    going = AWAY[how](stage) if how in AWAY else iter(())
    next(going, None)
    if how == "absent":
        stage.relay.close()
    phases = Phases(stage, PILLION_EXIT_TIMEOUT="600000")
    first = phases.make(1000)  # by now the thread has come to know the collector
    second = phases.make(SPANS)
    phases.end()
    assert second["waits"] - first["waits"] < SPANS / 100
    next(going, None)
    if how in ("there", "absent"):
        assert reckoned(stage).missing == 0


def test_memory_has_a_bound_while_the_collector_is_away(stage: Node) -> None:
    phases = Phases(stage, PILLION_RING_BYTES="2M")
    phases.make(SPANS)
    before = phases.make(SPANS)
    after = phases.make(5 * SPANS)
    phases.end()
    assert after["dropped_full"] - before["dropped_full"] == 5 * SPANS
    assert after["rss"] - before["rss"] < 1 << 20
    stage.start()
    verdict = reckoned(stage)
    assert verdict.missing == after["dropped_full"]


@pytest.mark.parametrize("retry_after", [None, 0.05])
def test_a_batch_that_is_refused_for_ever_is_offered_again_as_it_was_and_the_ring_drops_the_newest(
    stage: Node, retry_after: float | None
) -> None:
    """UNAVAILABLE, and RESOURCE_EXHAUSTED with a time to come again; then a real collector takes what was kept."""

    def busy(body: bytes, context: Any) -> bytes:
        fail(context, 8 if retry_after else 14, "not now", retry_after)
        return b""

    with reference(f"unix:{stage.socket}", busy) as server:
        phases = Phases(stage, PILLION_RING_BYTES="1M")
        phases.make(SPANS)
        server.wait(3)
        before = phases.make(SPANS)
        after = phases.make(SPANS)
    spans = [(body, said["pillion-batch"]) for body, said in zip(server.got, server.metadata, strict=True)]
    assert len(spans) >= 3 and len(set(spans)) == 1  # the same bytes under the same name each time
    assert after["dropped_full"] - before["dropped_full"] == SPANS
    assert after["rss"] - before["rss"] < 1 << 20
    assert after["sent"] == after["rejected"] == 0
    free(stage.socket)
    stage.start()
    until(lambda: stage.stats()["total"]["stored"] == 3 * SPANS - after["dropped_full"], "all stored that was kept")
    phases.end()
    assert reckoned(stage).missing == after["dropped_full"]
