# SPDX-License-Identifier: Apache-2.0
"""The sender's thread and descriptors: when they exist, what a fork finds, and what happens without a collector."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.native.grpc_peer import STATUS, Sender, fail, reference, sender


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/collector.sock"


class Gate:
    """A handler that holds every call until it is opened."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self, body: bytes, context: Any) -> bytes:
        self.event.wait(25)
        return b""


def at_rest(one: Sender) -> bool:
    return not one.stats()["running"]


def test_no_thread_and_no_descriptor_exist_before_the_first_wake_nor_after_idleness(target: str) -> None:
    with reference(target), sender(target, idle_ms=100, interval_ms=20) as one:
        before = one.look()
        assert before["threads"] == 1
        one.post(b"spans")
        one.done(0)
        one.until(lambda: at_rest(one))
        one.until(lambda: one.look()["threads"] == 1)
        assert one.look()["fds"] == before["fds"]
        one.post(b"again")
        assert one.done(1)["outcome"] == "sent"
        one.counts(threads=2, connects=2)


def test_a_wake_without_hurry_is_served_within_the_interval(target: str) -> None:
    with reference(target), sender(target, interval_ms=30, idle_ms=60_000) as one:
        for turn in range(5):
            one.batch(b"spans")
            one.say("wake")
            assert one.done(turn)["outcome"] == "sent"
        one.counts(threads=1, connects=1)


def test_work_that_comes_while_the_thread_ends_is_never_left_behind(target: str) -> None:
    with reference(target), sender(target, idle_ms=1, interval_ms=1) as one:
        for turn in range(60):
            one.batch(b"spans")
            one.say("wake")
            assert one.done(turn)["outcome"] == "sent"
            time.sleep(turn % 6 / 1000)  # meets the end of the thread at different moments


def test_a_pause_in_the_middle_of_a_call_keeps_it_and_it_is_sent_once(target: str) -> None:
    gate = Gate()
    with reference(target, gate) as server, sender(target) as one:
        one.post(b"spans")
        server.wait(1)
        one.say("pause")
        assert one.look()["threads"] == 1
        one.say("wake")  # starts nothing
        assert one.look()["threads"] == 1
        gate.event.set()
        one.say("resume")
        assert one.look()["threads"] == 1
        one.say("wake")
        assert one.done()["outcome"] == "sent"
        one.counts(connects=1, attempts=1, retries=0, threads=2)
        assert server.got == [b"spans"]


def test_an_answer_that_came_during_a_pause_longer_than_the_deadline_counts(target: str) -> None:
    gate = Gate()
    with reference(target, gate) as server, sender(target, timeout_ms=1500) as one:
        one.post(b"spans")
        server.wait(1)
        one.say("pause")
        gate.event.set()
        time.sleep(1.7)  # the deadline passes while nobody watches
        one.say("resume")
        one.say("wake")
        assert one.done()["outcome"] == "sent"
        assert len(server.got) == 1


@pytest.mark.parametrize("moment", ["call", "connect", "backoff", "idle", "rest"])
def test_a_fork_finds_one_thread_and_the_child_no_descriptor_of_ours(moment: str, target: str, tmp_path: Path) -> None:
    gate = Gate()
    with socket.socket() as full, reference(target, gate) as server:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        host, port = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the queue is full: a further connection waits
            filler.setblocking(False)
            filler.connect_ex((host, port))
        goal = {"connect": f"{host}:{port}", "backoff": "127.0.0.1:1"}.get(moment, target)
        with sender(goal, backoff_min_ms=60_000, backoff_max_ms=60_000) as one:
            bare = one.look()["fds"]
            if moment != "rest":
                one.post(b"spans")
            if moment == "call":
                server.wait(1)
            elif moment == "connect":
                one.until(lambda: bool(one.stats()["in_call"]))
            elif moment == "backoff":
                one.until(lambda: one.stats()["refused"] == 1)
            else:
                gate.event.set()
                one.done() if moment == "idle" else None
            one.say("fork")
            child, forked = one.expect("child"), one.expect("forked")
            assert (forked["threads"], forked["child_status"]) == (1, 0)
            assert (child["threads"], child["fds"]) == (1, bare)
            gate.event.set()
            one.say("wake")
            if moment == "call":
                assert one.done()["outcome"] == "sent"
                one.counts(attempts=1)
        for filler in fillers:
            filler.close()


def test_a_hundred_forks_between_calls_lose_and_repeat_nothing(target: str) -> None:
    with reference(target) as server, sender(target) as one:
        for turn in range(100):
            one.post(b"%d" % turn)
            one.say("fork")
        assert one.say("flush 20000")["status"] == STATUS["OK"]
        assert server.got == [b"%d" % turn for turn in range(100)]
        one.counts(sent_batches=100, retries=0)


def test_without_a_collector_a_flush_returns_at_once_and_the_batch_is_kept(target: str) -> None:
    with sender(target, backoff_min_ms=60_000, backoff_max_ms=60_000) as one:
        one.post(b"spans")
        one.until(lambda: one.stats()["refused"] == 1)
        begin = time.monotonic()
        assert one.say("flush 25000")["status"] == STATUS["IO"]
        assert time.monotonic() - begin < 20  # not the deadline, not the back-off
        assert not one.of("done")
        with reference(target):
            assert one.say("flush 25000")["status"] == STATUS["OK"]
            assert one.done()["outcome"] == "sent"


def test_without_a_collector_the_thread_ends_and_only_a_wake_after_the_back_off_tries_again(target: str) -> None:
    options = {"backoff_min_ms": 500, "backoff_max_ms": 500, "patience_ms": 1, "interval_ms": 20}
    with sender(target, **options) as one:
        one.post(b"spans")
        one.until(lambda: at_rest(one))
        stats = one.stats()
        assert one.look()["threads"] == 1
        for _ in range(20):
            one.say("wake")
        early = one.stats()  # within the back-off, unless this machine was very slow
        assert early["threads"] == stats["threads"] or early["attempts"] > stats["attempts"]
        with reference(target) as server:
            while not one.of("done"):
                one.say("wake")
                time.sleep(0.02)
            assert server.got == [b"spans"]
            assert one.stats()["threads"] <= 1 + one.stats()["attempts"]


def test_a_flush_waits_for_all_that_was_added_and_obeys_its_deadline(target: str) -> None:
    gate = Gate()
    with reference(target, gate) as server, sender(target) as one:
        for turn in range(3):
            one.batch(b"%d" % turn)
        assert one.say("flush 300")["status"] == STATUS["BUSY"]
        gate.event.set()
        assert one.say("flush 25000")["status"] == STATUS["OK"]
        assert len(one.of("done")) == 3 == len(server.got)


def test_a_flush_gives_up_when_the_collector_asks_for_more_time_than_there_is(target: str) -> None:
    def busy(body: bytes, context: Any) -> bytes:
        fail(context, 14, "later", retry_after=120)
        return b""

    with reference(target, busy), sender(target) as one:
        one.batch(b"spans")
        begin = time.monotonic()
        assert one.say("flush 25000")["status"] == STATUS["IO"]
        assert time.monotonic() - begin < 20


def test_an_application_that_closes_all_descriptors_finds_nothing_in_its_own_files(target: str, tmp_path: Path) -> None:
    file = tmp_path / "application.txt"
    with reference(target) as server, sender(target, interval_ms=20, idle_ms=60_000) as one:
        one.post(b"first")
        one.done(0)
        one.say(f"steal {file}")
        one.batch(b"second")
        one.say("wake")
        assert one.done(1)["outcome"] == "sent"
        one.say("pause")
        one.say("resume")
        one.post(b"third")
        assert one.done(2)["outcome"] == "sent"
        assert server.got == [b"first", b"second", b"third"]
        assert one.say("stolen")["status"] == 0  # all of its descriptors are still open
    assert file.read_bytes() == b""


def test_the_thread_blocks_every_signal(target: str) -> None:
    with reference(target), sender(target, idle_ms=60_000) as one:
        one.post(b"spans")
        one.done()
        tasks = Path(f"/proc/{one.process.pid}/task")
        masks = []
        for task in tasks.iterdir():
            if (task / "comm").read_text().strip() == "pillion":
                text = (task / "status").read_text()
                masks.append(int(text.split("SigBlk:")[1].split()[0], 16))
        unblockable = 1 << 8 | 1 << 18 | 1 << 31 | 1 << 32 | 1 << 33  # KILL, STOP, and libc's own
        assert len(masks) == 1
        assert masks[0] | unblockable == (1 << 64) - 1


def test_stop_leaves_the_batch_with_the_source_and_does_not_wait_for_the_answer(target: str) -> None:
    gate = Gate()
    with reference(target, gate) as server, sender(target) as one:
        one.post(b"spans")
        server.wait(1)
        one.close()
        assert not gate.event.is_set()
        assert not one.of("done")
        assert one.of("stopped")
        gate.event.set()
