# SPDX-License-Identifier: Apache-2.0
"""Partitions come and go: the disk is free at once, what is young stays, and no query breaks over it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pillion_collector.store import Store

from tests.collector.store_bodies import spans

WAIT_S = 60
BODY = spans(400, text_bytes=1000)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def on_disk(data: Path) -> int:
    return sum(path.stat().st_size for path in data.rglob("*") if path.is_file())


def files(data: Path) -> list[Path]:
    return sorted(data.glob("*.duckdb"))


def fill(store: Store, requests: int) -> None:
    for future in [store.append("traces", BODY) for _ in range(requests)]:
        future.result(WAIT_S)


def test_retention_by_size_keeps_the_newest_and_frees_the_disk(tmp_path: Path) -> None:
    limit = 8 << 20
    store = Store(tmp_path, retention_bytes=limit, linger_s=0)
    store.append("traces", spans(1, "first")).result(WAIT_S)
    for _ in range(12):
        fill(store, 4)
    store.append("traces", spans(1, "last")).result(WAIT_S)
    until(lambda: store.stats()["bytes"] <= limit and len(files(tmp_path)) == store.stats()["partitions"])
    assert store.stats()["dropped_partitions"] >= 1
    assert store.query("SELECT DISTINCT service FROM spans ORDER BY 1") == [("last",), ("shop",)]
    assert on_disk(tmp_path) < limit + (2 << 20)
    assert 0 < store.query("SELECT count(*) FROM spans")[0][0] < 12 * 4 * 400
    store.close()


def test_resources_leave_with_the_last_partition_that_needs_them(tmp_path: Path) -> None:
    store = Store(tmp_path, retention_bytes=4 << 20, linger_s=0)
    store.append("traces", spans(1, "gone")).result(WAIT_S)
    for _ in range(8):
        fill(store, 4)
    until(lambda: store.query("SELECT service FROM resources") == [("shop",)])  # one row, though in every partition
    store.close()


def test_retention_by_age_drops_what_is_old_even_if_nothing_comes(tmp_path: Path) -> None:
    store = Store(tmp_path, linger_s=0)
    fill(store, 2)
    store.close()
    (old,) = files(tmp_path)
    long_ago = time.time() - 3600
    os.utime(old, (long_ago, long_ago))
    store = Store(tmp_path, retention_age_s=1800)
    until(lambda: not old.exists())
    assert store.query("SELECT count(*) FROM spans") == [(0,)]
    fill(store, 1)
    assert store.query("SELECT count(*) FROM spans") == [(400,)]
    store.close()


def test_a_query_that_runs_keeps_its_partition_and_the_writer_goes_on(tmp_path: Path) -> None:
    store = Store(tmp_path, retention_bytes=4 << 20, linger_s=0)
    fill(store, 4)
    (first,) = files(tmp_path)
    begun, go_on = threading.Event(), threading.Event()
    found: list[object] = []

    def read() -> None:
        with store._readers.cursor() as cursor:  # a query in its middle, held there
            cursor.execute("BEGIN")
            before = cursor.execute("SELECT count(*), sum(length(entries)) FROM spans").fetchall()
            begun.set()
            go_on.wait(WAIT_S)
            found.extend([before, cursor.execute("SELECT count(*), sum(length(entries)) FROM spans").fetchall()])
            cursor.execute("COMMIT")

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(WAIT_S)
    for _ in range(8):
        fill(store, 4)  # nobody waits for the reader
    until(lambda: store.query("SELECT min(start_ns) FROM spans") != [])
    assert first.exists()
    go_on.set()
    reader.join(WAIT_S)
    assert found[0] == found[1] == [(1600, 1600)]
    until(lambda: not first.exists())
    store.close()


def test_queries_never_fail_while_partitions_come_and_go(tmp_path: Path) -> None:
    store = Store(tmp_path, retention_bytes=3 << 20, linger_s=0)
    errors: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                store.query("SELECT service, count(*), max(attributes['text']) FROM spans GROUP BY ALL")
            except Exception as error:
                errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(12):
        fill(store, 4)
    done.set()
    for reader in readers:
        reader.join(WAIT_S)
    assert not errors
    assert store.stats()["dropped_partitions"] >= 1
    store.close()


def test_a_restart_goes_on_in_the_same_partition(tmp_path: Path) -> None:
    for number in range(1, 4):
        store = Store(tmp_path)
        fill(store, 1)
        assert store.query("SELECT count(*) FROM spans") == [(400 * number,)]
        store.close()
    assert len(files(tmp_path)) == 1
