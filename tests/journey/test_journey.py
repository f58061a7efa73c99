# SPDX-License-Identifier: Apache-2.0
"""The journey: a page of the shop (gunicorn, two workers) → requests → the stock service → SQLite, no line changed.

One connected trace across both processes, seen in the API, in a real browser and in the terminal.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from selenium.webdriver.chrome.webdriver import WebDriver

from tests.collector.conftest import eventually
from tests.collector.ui.page import Page
from tests.journey.conftest import Stage
from tests.journey.programs import clean, get

TRACE = "4bf92f3577b34da6a3ce929d0e0e47"  # and two digits more


def ask(stage: Stage, path: str, number: int) -> str:
    """One request as part of a trace that is known; the trace's id."""
    trace_id = f"{TRACE}{number:02x}"
    status, _ = get(stage.shop.port, path, traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    assert status == 200
    return trace_id


def end(span: dict[str, Any]) -> int:
    return int(span["start_ns"]) + int(span["duration_ns"])


def one(spans: list[dict[str, Any]], service: str, kind: str, name: str) -> dict[str, Any]:
    found = [span for span in spans if (span["service"], span["kind"]) == (service, kind) and name in span["name"]]
    assert len(found) == 1, (service, kind, name, [(s["service"], s["kind"], s["name"]) for s in spans])
    return found[0]


def test_one_request_is_one_connected_trace_across_both_processes(stage: Stage) -> None:
    spans = stage.trace(ask(stage, "/products/2", 1), spans=6)
    entry = one(spans, "shop", "SERVER", "GET /products/<int:number>")
    call = one(spans, "shop", "CLIENT", "GET")
    page = one(spans, "shop", "INTERNAL", "product.html")
    answer = one(spans, "stock", "SERVER", "GET /products/<int:number>")
    queries = [span for span in spans if span["service"] == "stock" and span["kind"] == "CLIENT"]
    assert entry["parent_id"] == "00f067aa0ba902b7", "the caller's span is the parent of the first"
    assert (call["parent_id"], page["parent_id"]) == (entry["span_id"], entry["span_id"])
    assert answer["parent_id"] == call["span_id"]
    assert len(queries) == 2
    assert {query["parent_id"] for query in queries} == {answer["span_id"]}
    assert all(query["attributes"]["db.system.name"] == "sqlite" for query in queries)
    assert len({span["pid"] for span in spans}) == 2
    for child, parent in ((call, entry), (page, entry), (answer, call), *((query, answer) for query in queries)):
        assert parent["start_ns"] <= child["start_ns"]
        if child["pid"] == parent["pid"]:  # a server closes its span when all is sent: the caller may be on by then
            assert end(child) <= end(parent)


def test_spans_say_what_the_conventions_ask(stage: Stage) -> None:
    spans = stage.trace(ask(stage, "/products/3?token=hush", 2), spans=6)
    entry, call = one(spans, "shop", "SERVER", "GET"), one(spans, "shop", "CLIENT", "GET")
    assert entry["attributes"]["http.route"] == "/products/<int:number>"
    assert entry["attributes"]["http.response.status_code"] == 200
    assert entry["attributes"]["url.path"] == "/products/3"
    assert call["attributes"]["url.full"] == f"http://127.0.0.1:{stage.stock.port}/products/3"
    assert call["attributes"]["server.port"] == stage.stock.port
    assert not any("hush" in json.dumps(span) for span in spans), "query strings stay home"


def test_both_workers_of_gunicorn_serve_and_are_told_apart(stage: Stage) -> None:
    def pids() -> set[int]:
        for _ in range(5):
            get(stage.shop.port, "/")
        found = stage.collector.get("/api/processes")["processes"]
        return {each["pid"] for each in found if each["service"] == "shop" and each["spans"]}

    assert eventually(lambda: len(pids()) >= 2), pids()


def buy(stage: Stage, product: int, number: int, spans: int) -> tuple[int, list[dict[str, Any]]]:
    """A checkout as part of a known trace: the answer's status, and the spans."""
    trace_id = f"{TRACE}{number:02x}"
    header = {"Content_Type": "application/x-www-form-urlencoded", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    status, _ = get(stage.shop.port, "/checkout", "POST", f"product={product}", **header)
    return status, stage.trace(trace_id, spans)


def test_a_sold_out_product_is_an_error_of_the_call_but_not_of_the_shop(stage: Stage) -> None:
    status, spans = buy(stage, 99, 6, spans=5)
    assert status == 409
    assert one(spans, "shop", "SERVER", "POST /checkout")["status"] == "unset"
    assert one(spans, "shop", "CLIENT", "POST")["status"] == "error"


def test_an_exception_in_the_shop_is_recorded_with_its_type_and_stack(stage: Stage) -> None:
    status, spans = buy(stage, 1, 7, spans=6)
    assert status == 500
    entry = one(spans, "shop", "SERVER", "POST /checkout")
    assert (entry["status"], entry["attributes"]["http.response.status_code"]) == ("error", 500)
    raised = [event for span in spans for event in span["events"] if event["name"] == "exception"]
    assert raised[0]["attributes"]["exception.type"] == "shop.PaymentDeclined"
    assert "in pay" in raised[0]["attributes"]["exception.stacktrace"]


def test_a_person_sees_the_trace_as_a_waterfall(stage: Stage, browser: WebDriver) -> None:
    trace_id = ask(stage, "/products/4", 3)
    stage.trace(trace_id, spans=6)
    page = Page(browser, stage.collector.ui).open(f"#/trace/{trace_id}")
    page.until(lambda: len(page.all("[role=treeitem]")) >= 6, "six bars")
    rows = [
        (row.get_attribute("aria-label") or "", int(row.get_attribute("aria-level") or 0))
        for row in page.all("[role=treeitem]")
    ]
    labels = [label for label, _ in rows]
    assert any("GET /products/<int:number>, shop" in label for label in labels)
    assert any("stock" in label for label in labels)
    assert max(level for _, level in rows) == 4, "shop → call → stock → query"


def test_the_services_page_shows_both_services(stage: Stage, browser: WebDriver) -> None:
    ask(stage, "/", 4)
    page = Page(browser, stage.collector.ui).open("#/services")
    page.see("body", "shop")
    page.see("body", "stock")


def test_the_terminal_shows_the_same(stage: Stage, tmp_path: Path) -> None:
    trace_id = ask(stage, "/products/5", 5)
    spans = stage.trace(trace_id, spans=6)

    def pillion(*arguments: str) -> str:
        command = [sys.executable, "-m", "pillion", *arguments, "--url", stage.collector.ui]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=clean(), cwd=tmp_path).stdout

    assert {each["name"] for each in json.loads(pillion("services", "--json"))["services"]} >= {"shop", "stock"}
    tree = pillion("trace", trace_id)
    assert all(span["name"].split("\n")[0][:20] in tree for span in spans), tree
    assert trace_id in pillion("traces")
    assert {each["service"] for each in json.loads(pillion("ps", "--json"))["processes"]} >= {"shop", "stock"}


def test_what_was_recorded_was_stored_or_is_counted(stage: Stage) -> None:
    get(stage.shop.port, "/report")

    def balanced() -> bool:
        rows = stage.collector.get("/api/stats")["processes"]
        ours = [row for row in rows if row["service"] in ("shop", "stock") and row["recorded"]]
        return bool(ours) and all(row["recorded"] == row["stored"] + sum(row["dropped"].values()) for row in ours)

    assert eventually(balanced), stage.collector.get("/api/stats")


def test_processes_have_metrics_of_kernel_and_runtime(stage: Stage) -> None:
    def names() -> set[str]:
        found: set[str] = set()
        for each in stage.collector.get("/api/processes")["processes"]:
            if each["service"] == "shop":
                metrics = stage.collector.get(f"/api/processes/{each['id']}/metrics")["metrics"]
                found |= {metric["name"] for metric in metrics}
        return found

    wanted = {"process.cpu.time", "process.memory.usage"}
    assert eventually(lambda: wanted <= names()), names()
