# SPDX-License-Identifier: Apache-2.0
"""The store as its callers see it: what goes in is there at once, whole, and the answer says how much of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from pillion_collector.store import BadInput, Outcome, PointRow, ResourceRow, Store, StoreBusy, StoreError

from tests.collector.store_bodies import spans
from tests.native import otlp_exports, otlp_rows

WAIT_S = 60


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def test_spans_are_visible_as_soon_as_their_future_is_done(store: Store) -> None:
    for number in range(1, 6):
        assert store.append("traces", spans(10)).result(WAIT_S) == Outcome(10, 0, "")
        assert store.query("SELECT count(*) FROM spans") == [(10 * number,)]
    assert store.query("SELECT count(*), min(service) FROM resources") == [(1, "shop")]
    assert store.stats()["stored"]["spans"] == 50


def test_what_the_sdk_exports_is_stored_whole(store: Store) -> None:
    request = otlp_exports.traces()
    store.append("traces", request.SerializeToString()).result(WAIT_S)
    expected = [
        otlp_rows.span(span) for owner in request.resource_spans for scope in owner.scope_spans for span in scope.spans
    ]
    columns = list(expected[0])
    found = store.query(f"SELECT {', '.join(columns)} FROM spans")
    rows = [otlp_rows.typed(dict(zip(columns, row, strict=True))) for row in found]
    by_id = {row["span_id"]: row for row in rows}
    assert len(by_id) == len(expected)
    assert [by_id[row["span_id"]] for row in expected] == expected


def test_a_span_is_found_with_its_resource_and_its_scope(store: Store) -> None:
    request = otlp_exports.traces()
    store.append("traces", request.SerializeToString()).result(WAIT_S)
    found = store.query(
        "SELECT r.service, r.instance, r.pid, r.schema_url, r.attributes['host.cpus'], c.version, c.schema_url"
        " FROM spans s JOIN resources r USING (resource_id) JOIN scopes c USING (scope_id)"
        " WHERE s.name = 'server' AND c.name = 'scope one'"
    )
    urls = ("https://example.org/resource", "https://example.org/scope")
    assert found == [("shop", "one", 4711, urls[0], "2.5", "1.2", urls[1])]


def test_metrics_and_logs_are_stored_beside_the_spans(store: Store) -> None:
    points, logs = otlp_exports.metrics(), otlp_exports.logs()
    assert store.append("metrics", points.SerializeToString()).result(WAIT_S).accepted == 11
    assert store.append("logs", logs.SerializeToString()).result(WAIT_S).accepted == 3
    assert store.query("SELECT DISTINCT monotonic FROM points WHERE name = 'a.sum'") == [(True,)]
    (detail,) = store.query("SELECT detail FROM points WHERE name = 'a.histogram' AND count = 6")[0]
    assert json.loads(detail)["bounds"] == [0.25, 5.0]
    assert store.query("SELECT body, attributes['code'] FROM logs WHERE severity = 17") == [
        ('"card \\"declined\\"\\u000a"', "402")
    ]


def test_filtering_by_the_list_and_by_the_map_find_the_same(store: Store) -> None:
    store.append("traces", otlp_exports.traces().SerializeToString()).result(WAIT_S)
    for key, text in (("int", "-7"), ("text", '"grüße"'), ("texts", '["a","b"]'), ("absent", "1")):
        by_map = store.query("SELECT span_id FROM spans WHERE attributes[?] = ?", [key, text])
        by_list = store.query("SELECT span_id FROM spans WHERE attribute(entries, ?) = ?", [key, text])
        assert by_map == by_list
        assert len(by_map) == (key != "absent")


def test_rejected_spans_are_counted_with_their_reason(store: Store) -> None:
    request = otlp_exports.traces()
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    outcome = store.append("traces", request.SerializeToString()).result(WAIT_S)
    assert outcome.rejected == 1 and outcome.accepted >= 4 and "wrong length" in outcome.message
    assert store.stats()["rejected"]["spans"] == 1


def test_a_malformed_request_fails_alone(store: Store) -> None:
    good = [store.append("traces", spans(5)) for _ in range(3)]
    bad = store.append("traces", b"\x0a\xff\xff\xff\xff\x0fgarbage")
    good += [store.append("traces", spans(5)) for _ in range(3)]
    with pytest.raises(BadInput):
        bad.result(WAIT_S)
    assert sum(each.result(WAIT_S).accepted for each in good) == 30
    assert store.query("SELECT count(*) FROM spans") == [(30,)]
    assert store.stats()["refused"] == {"bad_input": 1}


def test_the_collectors_own_points_come_with_their_resources(store: Store) -> None:
    resource = ResourceRow(7, "cron", "i-1", 99, {"process.pid": "99"})
    points = [
        PointRow(1_000, 7, "process.cpu.time", "s", 1.5, 2, {"cpu.mode": '"user"'}, 500, True, 2),
        PointRow(1_000, 7, "process.thread.count", "{thread}", 4),
    ]
    assert store.append_points(points, [resource, resource]).result(WAIT_S).accepted == 2
    assert store.append_points(points[:1], [resource]).result(WAIT_S).accepted == 1
    assert store.query("SELECT service, instance, pid, attributes['process.pid'] FROM resources") == [
        ("cron", "i-1", 99, "99")
    ]
    assert store.query(
        "SELECT DISTINCT name, unit, kind, value_double, value_int, attributes['cpu.mode'], monotonic, temporality,"
        " start_ns FROM points ORDER BY name"
    ) == [
        ("process.cpu.time", "s", 2, 1.5, None, '"user"', True, 2, 500),
        ("process.thread.count", "{thread}", 1, None, 4, None, False, 0, 0),
    ]


def test_many_threads_append_and_query_at_the_same_time(store: Store) -> None:
    bodies = [spans(50) for _ in range(4)]
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(store.query("SELECT count(*) FROM spans")[0][0])

    with ThreadPoolExecutor(6) as pool:
        watchers = [pool.submit(watch) for _ in range(2)]
        futures = list(pool.map(lambda number: store.append("traces", bodies[number % 4]), range(80)))
        assert not wait(futures, WAIT_S).not_done
        done.set()
        for watcher in watchers:
            watcher.result(WAIT_S)
    assert store.query("SELECT count(*) FROM spans") == [(4000,)]
    assert store.stats()["commits"] < 80  # they shared transactions
    assert all(number % 50 == 0 for number in seen)  # no half request was ever visible


def test_a_full_queue_says_busy_and_loses_nothing(tmp_path: Path) -> None:
    body = spans(200, text_bytes=200)
    store = Store(tmp_path / "data", queue_bytes=3 * len(body), linger_s=30)
    futures: list[Future[Outcome]] = []
    with pytest.raises(StoreBusy, match="limit"):
        futures.extend(store.append("traces", body) for _ in range(100))
    assert store.stats()["refused"] == {"busy": 1}
    store.close()  # ends the lingering, commits what waits
    assert sum(each.result(0).accepted for each in futures) == 200 * len(futures)


def test_closing_commits_what_waits_and_refuses_what_comes_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", linger_s=30)
    future = store.append("traces", spans(3))
    store.close()
    store.close()
    assert future.result(0).accepted == 3
    for use in (lambda: store.append("traces", b""), lambda: store.query("SELECT 1")):
        with pytest.raises(StoreError) as error:
            use()
        assert error.value.kind == "closed"
    again = Store(tmp_path / "data")
    assert again.query("SELECT count(*) FROM spans") == [(3,)]
    again.close()


def test_an_idle_store_commits_one_request_at_once(store: Store) -> None:
    """The median of some: a machine under load may delay any one of them."""
    taken = []
    for _ in range(9):
        begun = time.monotonic()
        store.append("traces", spans(20)).result(WAIT_S)
        taken.append(time.monotonic() - begun)
    print(f"median {sorted(taken)[4] * 1000:.0f} ms")
    assert sorted(taken)[0] < 30  # far below the linger of a store that would wait for more


def test_an_empty_request_is_a_success(store: Store) -> None:
    assert store.append("traces", b"").result(WAIT_S) == Outcome(0, 0, "")
