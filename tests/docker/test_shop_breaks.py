# SPDX-License-Identifier: Apache-2.0
"""What breaks in containers: an application outgrows its memory, the collector goes away and comes back."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.docker.shop import APPS, Shop, eventually, said


def test_an_application_killed_by_its_memory_limit_is_shown_with_the_request_that_did_it(shop: Shop) -> None:
    before = shop.container("orders")
    answer = shop.ask("/report?days=10000000")
    assert answer.status == 502

    def crash() -> list[Any]:
        crashes = shop.api("crashes")["crashes"]
        return [one for one in crashes if answer.trace_id in str(one["requests"])]

    (one,) = eventually(crash, "the crash with the request")
    assert one["service"] == "orders" and one["exit"]["signal"] == 9 and one["exit"]["oom"] is True
    (request,) = one["requests"]
    assert request["detail"] == "GET /report"
    spans = shop.trace(answer.trace_id, lambda spans: {"web", "orders"} <= {span["service"] for span in spans})
    (died,) = [span for span in spans if span["service"] == "orders" and span["kind"] == "SERVER"]
    assert died["span_id"] == request["span_id"] and died["status"] == "error"
    asked = {span["span_id"] for span in spans if span["service"] == "web" and span["kind"] == "CLIENT"}
    assert died["parent_id"] in asked
    # The worker was killed, its container was not; the shop goes on.
    assert shop.container("orders") == before
    assert eventually(lambda: shop.ask("/").status == 200, "a page after the crash")


def test_nothing_is_lost_while_the_collector_is_restarted(shop: Shop) -> None:
    collector = shop.container("collector")
    for stop in (["stop", "-t", "10"], ["kill"]):
        purchases = [shop.ask("/checkout", product=1, amount=1) for _ in range(5)]
        said("docker", *stop, collector)
        purchases += [shop.ask("/checkout", product=1, amount=1) for _ in range(20)]
        said("docker", "start", collector)
        purchases += [shop.ask("/checkout", product=1, amount=1) for _ in range(5)]
        assert {purchase.status for purchase in purchases} == {201}
        for purchase in purchases:
            shop.trace(purchase.trace_id, lambda spans: {span["service"] for span in spans} == set(APPS))
    total = eventually(lambda: (found := shop.api("stats")["total"])["balanced"] and found, "a ledger that balances")
    assert set(total["dropped"]) <= {"torn"}, total  # what a killed process was just writing


def test_an_application_killed_with_its_container_leaves_every_span_that_had_ended(shop: Shop) -> None:
    pages = [shop.ask("/") for _ in range(10)]
    said("docker", "kill", shop.container("catalog"))
    assert {page.status for page in pages} == {200}
    for page in pages:
        shop.trace(page.trace_id, lambda spans: {"web", "catalog", "orders"} == {span["service"] for span in spans})
    subprocess.run(["docker", "start", shop.container("catalog")], check=True, capture_output=True)
    assert eventually(lambda: shop.ask("/").status == 200, "a page after the restart")
