# SPDX-License-Identifier: Apache-2.0
"""Collectors that are killed at the worst moments, and answers that get lost: nothing missing, nothing twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.conftest import Running, Start, eventually
from tests.collector.doomed import FINISHED, MANY, THREADS, Doom, adopted, counted, crashes, doom, end, rings
from tests.collector.forward import Forward

__all__ = ["doom"]


@pytest.fixture
def between(start: Start, tmp_path: Path) -> Iterator[tuple[Forward, Running]]:
    """A collector that agents reach only through a forwarder."""
    collector = start("--socket", str(tmp_path / "s"))
    forward = Forward(collector.run_dir, lambda number: False)
    forward.target = collector.grpc
    yield forward, collector
    forward.stop()


def test_answers_that_get_lost_make_no_span_twice(between: tuple[Forward, Running], doom: Doom) -> None:
    forward, collector = between
    forward.answered = lambda number: number <= 3
    process = doom(collector)
    assert eventually(lambda: forward.lost == 3 and forward.exports > 3)
    end(process, "os._exit(1)")
    told = adopted(collector)
    assert (told["recorded"], told["stored"], told["balanced"]) == (FINISHED, FINISHED, True)
    assert told["duplicates"] == 3 == collector.get("/api/stats")["collector"]["duplicates"]
    collector.stop()
    assert counted(collector) == (FINISHED, FINISHED)


def test_a_process_that_dies_before_it_knows_that_its_batch_was_stored_is_adopted_behind_it(
    between: tuple[Forward, Running], doom: Doom
) -> None:
    forward, collector = between
    forward.answered = lambda number: True
    process = doom(collector)
    assert eventually(lambda: forward.lost >= 1)
    end(process, "SIGKILL")
    told = adopted(collector)
    assert (told["recorded"], told["stored"], told["balanced"]) == (FINISHED, FINISHED, True)
    collector.stop()
    assert counted(collector) == (FINISHED, FINISHED)


def test_a_collector_that_is_killed_between_its_commit_and_its_answer_stores_nothing_twice(
    start: Start, doom: Doom, tmp_path: Path
) -> None:
    running = [start("--socket", str(tmp_path / "s"))]
    forward = Forward(running[0].run_dir, lambda number: False)
    forward.target = running[0].grpc

    def kill(number: int) -> bool:
        if number > 1:
            return False
        running[-1].stop(signal.SIGKILL)  # it has committed, and the answer goes no further than to here
        running.append(start("--socket", str(tmp_path / "s")))
        forward.target = running[-1].grpc
        return True

    forward.answered = kill
    process = doom(running[0])
    assert eventually(lambda: forward.exports > 1)
    end(process, "SIGKILL")
    told = adopted(running[-1])
    assert (told["recorded"], told["stored"], told["balanced"]) == (FINISHED, FINISHED, True)
    assert told["duplicates"] == 1
    running[-1].stop()
    forward.stop()
    assert counted(running[-1]) == (FINISHED, FINISHED)


def test_a_collector_that_is_killed_while_it_adopts_loses_nothing_and_stores_nothing_twice(
    start: Start, doom: Doom
) -> None:
    collector = start()
    collector.stop(signal.SIGKILL)
    process = doom(collector, "40000", code=MANY)
    end(process, "SIGKILL")
    kills = 0
    while (collector := start()) and stored_partly(collector):
        collector.stop(signal.SIGKILL)
        kills += 1
    told = adopted(collector)
    print(f"killed {kills} times with something stored and the ring still there; {told}")
    assert kills > 0 and told["recorded"] == 40000 and told["balanced"] and told["dropped"].keys() <= {"full"}
    (crash,) = collector.get("/api/crashes")["crashes"] or [{"requests": []}]
    assert crash["requests"] == []
    collector.stop()
    assert counted(collector) == (told["stored"],) * 2


def stored_partly(collector: Running) -> bool:
    """Waits until it has stored something: is the ring still there then?"""
    assert eventually(lambda: collector.get("/api/stats")["collector"]["stored"].get("spans") or not rings(collector))
    return bool(rings(collector))


def test_unfinished_requests_are_told_once_when_the_collector_is_killed_before_it_removes_the_ring(
    start: Start, doom: Doom, tmp_path: Path
) -> None:
    """As if it had been killed between the last commit and the removal: the ring is there again."""
    collector = start()
    process = doom(collector)
    (name,) = rings(collector)
    kept = tmp_path / "kept"
    process.send_signal(signal.SIGSTOP)  # nothing more is written to it
    kept.write_bytes((collector.run_dir / "rings" / name).read_bytes())
    end(process, "SIGKILL")
    first = adopted(collector)
    (collector.run_dir / "rings" / name).write_bytes(kept.read_bytes())
    assert adopted(collector) == first
    collector.stop(signal.SIGKILL)
    (collector.run_dir / "rings" / name).write_bytes(kept.read_bytes())
    collector = start()
    assert adopted(collector)["stored"] == first["stored"] == FINISHED
    (crash,) = crashes(collector)
    assert len(crash["requests"]) == THREADS
    found = collector.get("/api/traces?attribute=pillion.unfinished%3Dtrue")["traces"]
    assert len(found) == THREADS and sum(one["errors"] for one in found) == THREADS
    collector.stop()
    assert counted(collector) == (FINISHED, FINISHED)
