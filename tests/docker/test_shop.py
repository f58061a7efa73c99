# SPDX-License-Identifier: Apache-2.0
"""The whole compose file, running: what the collector says of a shop whose images have never heard of pillion."""

from __future__ import annotations

import re
from typing import Any

from tests.docker.shop import APPS, Shop, eventually, maps

Span = dict[str, Any]


def child(spans: list[Span], parent: str, kind: str, name: str, service: str) -> Span:
    """The one span below `parent` that looks so."""
    found = [
        span
        for span in spans
        if (span["parent_id"], span["kind"], span["name"], span["service"]) == (parent, kind, name, service)
    ]
    told = [(span["parent_id"], span["kind"], span["name"], span["service"]) for span in spans]
    assert len(found) == 1, f"{(parent, kind, name, service)} among {told}"
    return found[0]


def whole(spans: list[Span], parent: str, *names: str) -> bool:
    """Whether these spans are there, and each has its parent: every process sends when it likes."""
    known = {span["span_id"] for span in spans} | {parent}
    return set(names) <= {span["name"] for span in spans} and all(span["parent_id"] in known for span in spans)


def pythons(shop: Shop, service: str) -> set[int]:
    """The Python processes of a container, by this machine's pids."""
    return {pid for pid in shop.pids(service) if "/bin/python3" in maps(pid)}


def test_a_purchase_is_one_trace_through_every_service(shop: Shop) -> None:
    answer = shop.ask("/checkout", product=2, amount=1)
    assert answer.status == 201 and "Thank you" in answer.body
    spans = shop.trace(answer.trace_id, lambda spans: whole(spans, answer.parent_id, "POST /checkout", "LPUSH"))
    bought = child(spans, answer.parent_id, "SERVER", "POST /checkout", "web")
    priced = child(spans, bought["span_id"], "CLIENT", "POST", "web")
    purchase = child(spans, priced["span_id"], "SERVER", "POST /purchases", "catalog")
    ordered = child(spans, purchase["span_id"], "CLIENT", "POST", "catalog")
    order = child(spans, ordered["span_id"], "SERVER", "POST /orders", "orders")
    sent = child(spans, order["span_id"], "PRODUCER", "send mailer.receipt", "orders")
    run = child(spans, sent["span_id"], "CONSUMER", "process mailer.receipt", "mailer")
    child(spans, run["span_id"], "CLIENT", "LPUSH", "mailer")
    statements = [span["name"] for span in spans if span["parent_id"] == order["span_id"] and span["kind"] == "CLIENT"]
    assert {'UPDATE "shop_stock"', 'INSERT "shop_order"'} <= set(statements)
    assert {span["service"] for span in spans} == set(APPS)


def test_the_store_front_runs_on_musl_and_the_others_on_glibc(shop: Shop) -> None:
    for service in APPS:
        for pid in pythons(shop, service):
            mapped = maps(pid)
            assert "/libpillion.so" in mapped and "/cp311/_native.so" in mapped
            assert ("ld-musl" in mapped) == (service == "web")
            assert ("libc.so.6" in mapped) == (service != "web")


def test_every_process_of_the_shop_has_metrics_and_its_container(shop: Shop) -> None:
    wanted = {pid: service for service in APPS for pid in pythons(shop, service)}

    def measured() -> dict[int, Any]:
        rows = {row["pid"]: row for row in shop.api("processes")["processes"] if row["alive"]}
        ready = all(pid in rows and rows[pid]["memory_bytes"] and rows[pid]["cpu"] is not None for pid in wanted)
        return rows if ready else {}

    rows = eventually(measured, "CPU and memory of each process")
    for pid, service in wanted.items():
        assert rows[pid]["service"] == service
        assert rows[pid]["container"] == shop.container(service)
        assert rows[pid]["memory_bytes"] > 5_000_000 and rows[pid]["threads"] >= 1
        if rows[pid]["instance"]:  # it has made spans; the others are measured, and their values are not kept
            path = f"processes/{rows[pid]['id']}/metrics"
            eventually(lambda path=path: kept(shop, path), f"points of {service} {pid}")  # type: ignore[misc]


def kept(shop: Shop, path: str) -> bool:
    names = {one["name"] for one in shop.api(path)["metrics"]}
    return {"process.memory.usage", "process.cpu.time"} <= names


def test_the_applications_are_injected_and_nobody_else_is(shop: Shop) -> None:
    injected = {pid for service in APPS for pid in pythons(shop, service)}
    rows = {row["pid"]: row for row in shop.api("why")["processes"] if row["alive"]}
    assert {pid for pid, row in rows.items() if row["decision"] == "injected"} == injected
    others = {pid for service in ("redis", "postgres") for pid in shop.pids(service)}
    shells = {pid for pid, command in shop.pids("load").items() if command.startswith("sh ")}
    assert others and shells and not (others | shells) & set(rows)
    # The preload is in them all the same: it has looked, and gone.
    mapped = [text for pid in others | shells if (text := maps(pid))]
    assert mapped and all("/libpillion.so" in text for text in mapped)
    (customers,) = pythons(shop, "load")
    assert (rows[customers]["decision"], rows[customers]["code"]) == ("not", "DISABLED")


def test_who_stands_down_in_a_container_says_why(shop: Shop) -> None:
    shop.execute("orders", "pip", "--version")
    shop.execute("web", "python", "-S", "-c", "pass")
    shop.execute("catalog", "sh", "-c", "ls / >/dev/null")

    def told() -> dict[str, Any]:
        rows = [row for row in shop.api("why")["processes"] if not row["alive"]]
        found = {row["code"]: row for row in rows}
        return found if {"PACKAGE_MANAGER", "NO_SITE"} <= set(found) else {}

    rows = eventually(told, "pip and a Python without site in /api/why")
    assert re.search(r"rules\.conf:\d+: deny .*pip", rows["PACKAGE_MANAGER"]["reason"])
    assert rows["NO_SITE"]["do"] == "Leave -S out; -I and -E are no hindrance."


def test_the_applications_see_nothing_of_it(shop: Shop) -> None:
    show = "import json, os, sys; print(json.dumps([dict(os.environ), sys.path, sorted(sys.flags)]))"
    with_us = shop.execute("orders", "python", "-c", show)
    without = shop.execute("orders", "env", "PILLION_ENABLED=0", "python", "-c", show)
    assert with_us == without.replace('"PILLION_ENABLED": "0", ', "").replace(', "PILLION_ENABLED": "0"', "")
