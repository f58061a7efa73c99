# SPDX-License-Identifier: Apache-2.0
"""Nothing is stored twice: batches that come again, at once or after a restart, and rings that were closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from pillion_collector import schema
from pillion_collector.marks import Marks, parse
from pillion_collector.store import Batch, Outcome, Store, StoreError

from tests.collector.store_bodies import spans

WAIT_S = 60
RING = bytes(range(16))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def rows(store: Store) -> int:
    return int(store.query("SELECT count(*) FROM spans")[0][0])


def test_a_batch_that_comes_again_is_answered_as_before_and_stored_once(store: Store) -> None:
    body = spans(10)
    assert store.append("traces", body, Batch(RING, 0, 900)).result(WAIT_S) == Outcome(10, 0, "")
    for _ in range(3):
        assert store.append("traces", body, Batch(RING, 0, 900)).result(WAIT_S) == Outcome(0, 0, "", True)
    assert store.append("traces", spans(5), Batch(RING, 900, 1500)).result(WAIT_S).accepted == 5
    mark = store.mark(RING)
    assert rows(store) == 15 and mark is not None and (mark.start, mark.end, mark.spans) == (900, 1500, 15)
    assert store.stats()["duplicates"] == 3 and store.stats()["stored"]["spans"] == 15


def test_the_same_batch_twice_in_one_transaction_is_stored_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", linger_s=30)
    body = spans(10)
    futures = [store.append("traces", body, Batch(RING, 0, 900)) for _ in range(2)]
    futures.append(store.append("traces", spans(7), Batch(RING, 900, 1000)))
    store.close()  # ends the lingering: one group
    assert [each.result(0).accepted for each in futures] == [10, 0, 7]
    again = Store(tmp_path / "data")
    assert rows(again) == 17
    again.close()


def test_other_rings_and_senders_without_names_are_not_confused(store: Store) -> None:
    body = spans(3)
    for ring in (b"a" * 16, b"b" * 16):
        assert store.append("traces", body, Batch(ring, 0, 900)).result(WAIT_S).accepted == 3
    for _ in range(2):
        assert store.append("traces", body).result(WAIT_S).accepted == 3
    assert rows(store) == 12


def test_what_was_stored_is_known_after_a_restart_and_after_many_batches(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    for at in range(30):
        store.append("traces", spans(2), Batch(RING, at, at + 1)).result(WAIT_S)
    store.close()
    store = Store(tmp_path / "data")
    assert store.append("traces", spans(2), Batch(RING, 29, 30)).result(WAIT_S).duplicate
    mark = store.mark(RING)
    assert mark is not None and mark.spans == 60
    assert store.query("SELECT count(*) FROM marks") == [(1,)]  # a checkpoint leaves the newest one
    store.close()


def test_a_malformed_batch_is_no_batch_of_its_ring(store: Store) -> None:
    with pytest.raises(StoreError):
        store.append("traces", b"\x0a\xff\xff\xff\xff\x0fgarbage", Batch(RING, 0, 900)).result(WAIT_S)
    assert store.mark(RING) is None
    assert store.append("traces", spans(4), Batch(RING, 0, 900)).result(WAIT_S).accepted == 4


def test_rejected_spans_are_told_again_to_who_asks_again(store: Store) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(spans(5))
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    for expected in ((4, 1), (0, 1)):
        outcome = store.append("traces", request.SerializeToString(), Batch(RING, 0, 9)).result(WAIT_S)
        assert (outcome.accepted, outcome.rejected) == expected
    assert rows(store) == 4


def test_after_a_ring_was_closed_only_its_adoption_is_stored_and_only_in_order(store: Store) -> None:
    store.append("traces", spans(1), Batch(RING, 0, 10)).result(WAIT_S)
    store.close_ring(RING, 10).result(WAIT_S)
    assert store.append("traces", spans(9), Batch(RING, 10, 20)).result(WAIT_S).duplicate
    assert store.append("traces", spans(2), Batch(RING, 10, 20, True, None)).result(WAIT_S).accepted == 2
    for wrong in (None, 10, 30):
        with pytest.raises(StoreError) as error:
            store.append("traces", spans(2), Batch(RING, 10, 30, True, wrong)).result(WAIT_S)
        assert error.value.kind == "order"
    assert store.append("traces", spans(3), Batch(RING, 20, 30, True, 20)).result(WAIT_S).accepted == 3
    mark = store.mark(RING)
    assert mark is not None and (mark.start, mark.adopted, mark.spans, mark.closed) == (0, 30, 6, True)
    assert rows(store) == 6


def test_an_adopted_batch_that_cannot_be_decoded_is_rejected_and_passed(store: Store) -> None:
    store.close_ring(RING, 0).result(WAIT_S)
    outcome = store.append("traces", b"\x0a\xff\xff\xff\xff\x0f", Batch(RING, 0, 10, True, None, 7)).result(WAIT_S)
    mark = store.mark(RING)
    assert (outcome.accepted, outcome.rejected) == (0, 7)
    assert mark is not None and (mark.adopted, mark.rejected) == (10, 7)


def test_more_rings_than_memory_has_room_for_are_still_known() -> None:
    connection = duckdb.connect(":memory:")
    connection.execute(f"ATTACH ':memory:' AS p; CREATE TABLE p.marks ({schema.TABLES['marks']})")
    connection.execute("CREATE VIEW marks AS SELECT * FROM p.marks")
    marks = Marks(limit=10)
    rings = [os.urandom(16) for _ in range(50)]
    for ring in rings:
        turn = marks.turn(connection)
        turn.stored(Batch(ring, 5, 6), Outcome(1, 0, ""))
        turn.save("p")
        marks.settle(turn.changed)
    assert len(marks) == 10
    for ring in rings:
        assert marks.turn(connection).known(Batch(ring, 5, 6)) is not None
        assert marks.turn(connection).known(Batch(ring, 6, 7)) is None
    again = Marks(limit=10)
    again.load(connection, ["p"])
    assert len(again) == 10 and again.get(rings[-1]) is not None


def test_a_store_of_the_first_version_is_brought_up_to_date_and_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "data"
    store = Store(path)
    store.append("traces", spans(12)).result(WAIT_S)
    store.close()
    (file,) = path.glob("*.duckdb")
    with duckdb.connect(str(file)) as old:
        old.execute("DROP TABLE marks; DROP TABLE ends; UPDATE meta SET version = 1")
    store = Store(path)
    assert rows(store) == 12
    assert store.append("traces", spans(1), Batch(RING, 0, 9)).result(WAIT_S).accepted == 1
    assert store.append("traces", spans(1), Batch(RING, 0, 9)).result(WAIT_S).duplicate
    store.close()
    with duckdb.connect(str(file)) as new:
        assert new.execute("SELECT version FROM meta").fetchall() == [(schema.VERSION,)]


def test_retention_does_not_forget_the_marks_of_rings_that_live(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", retention_bytes=2 << 20)
    store.append("traces", spans(1), Batch(RING, 0, 9)).result(WAIT_S)
    for at in range(60):
        store.append("traces", spans(100, text_bytes=2000), Batch(b"x" * 16, at, at + 1)).result(WAIT_S)
    assert store.stats()["dropped_partitions"] > 0
    store.close()
    store = Store(tmp_path / "data", retention_bytes=2 << 20)
    mark = store.mark(RING)
    assert mark is not None and mark.spans == 1
    store.close()


@pytest.mark.parametrize(
    "header", ["", "x", "0" * 32, f"{'0' * 32}-{'0' * 16}", f"{'A' * 32}-{'0' * 16}-{'0' * 16}", "0" * 5000]
)
def test_a_malformed_name_of_a_batch_is_none(header: str) -> None:
    assert parse(header) is None


def test_the_name_of_a_batch_is_its_ring_and_its_stretch() -> None:
    assert parse(f"{RING.hex()}-{5:016x}-{2**64 - 1:016x}") == Batch(RING, 5, 2**64 - 1)
