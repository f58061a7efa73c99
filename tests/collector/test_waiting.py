# SPDX-License-Identifier: Apache-2.0
"""What waits for the writer is handed out at a pace: in company when there is time, at once when there isn't."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from pillion_collector import waiting
from pillion_collector.commit import Job
from pillion_collector.store import Batch, EndRow
from pillion_collector.waiting import Waiting

DEADLINE_S = 60.0
RING = bytes(16)
ADOPTED = Job(100, "traces", b"", Batch(RING, 0, 8, True))
END = EndRow(RING, 0, "1-1", 1, "", "", "", 0, "{}", True, False, 0, 0, "{}", "[]", 0)


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """After a transaction that took so long that an hour's rest is due."""
    monkeypatch.setattr(waiting, "_REST_S", 3600.0)
    queue = Waiting(64 << 20, 0.0)
    queue.took(3600.0)
    return queue


def taken(queue: Waiting, *late: Job) -> list[Job]:
    """What is handed out once these have come, with what had come before."""
    found: list[list[Job] | None] = []
    thread = threading.Thread(target=lambda: found.append(queue.take(DEADLINE_S)), daemon=True)
    thread.start()
    for job in late:
        queue.put(job)
    thread.join(DEADLINE_S)
    (group,) = found
    assert group is not None
    return group


@pytest.mark.parametrize(
    "urgent",
    [lambda: Job(0, close=(RING, 0)), lambda: Job(10, end=END), lambda: ADOPTED],
    ids=["the end of a ring's life", "its last word", "what it left"],
)
def test_adoption_does_not_wait_for_the_rest_to_end(hour: Waiting, urgent: Callable[[], Job]) -> None:
    first, second = Job(10), urgent()
    assert taken(hour, first, second) == [first, second]


def test_a_full_batch_does_not_wait_for_the_rest_to_end(hour: Waiting) -> None:
    jobs = [Job(1000), Job(waiting._MUCH_BYTES)]
    assert taken(hour, *jobs) == jobs


def test_closing_ends_the_rest(hour: Waiting) -> None:
    job = Job(10)
    hour.put(job)
    assert hour.close()
    assert hour.take(DEADLINE_S) == [job] and hour.take(DEADLINE_S) is None


def test_a_small_one_waits_as_long_as_the_last_transaction_bids_and_never_longer_than_the_limit() -> None:
    queue = Waiting(64 << 20, 0.0)
    for took_s, least_s in ((0.01, 9 * 0.01), (5.0, waiting._REST_S)):
        begin = time.monotonic()
        queue.took(took_s)
        assert taken(queue, Job(10)) and time.monotonic() - begin >= least_s
    queue.took(0.0)
    assert queue._rest_until_s <= time.monotonic()
    queue.took(1e9)
    assert queue._rest_until_s <= time.monotonic() + waiting._REST_S
