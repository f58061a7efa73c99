# SPDX-License-Identifier: Apache-2.0
"""starlette: the route's template is on the request's span and in its name, never a path."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.agent.hooks.conftest import APPS
from tests.journey.programs import get, serving
from tests.support.servers import free_port

MANY = 40
ROUTES = {
    "/items/5": "/items/{item}",
    "POST~/items/6": "/items/{item}",
    "PUT~/items/7": "/items/{item}",
    "/sync/8": "/sync/{item}",
    "/api/parts/a/b": "/api/parts/{name:path}",
    "/shops/17/aisle/nine": "/shops/{shop}/aisle/{name}",
    "/shops/17/none/at/all": "/shops/{shop}/none/{path}",
    "/nowhere": None,
}


@pytest.fixture
def run(traced):
    return traced("asgi_shop.py", "fastapi", *ROUTES)


def test_route_of_routers_and_mounts_is_told_as_the_application_wrote_it(run):
    requests = run.of_kind("SERVER")
    assert [s.attributes.get("http.route") for s in requests] == list(ROUTES.values())


def test_span_is_named_by_method_and_route(run):
    methods = [line.partition("~")[0] if "~" in line else "GET" for line in ROUTES]
    expected = [
        f"{method} {route}" if route else method for method, route in zip(methods, ROUTES.values(), strict=True)
    ]
    assert [s.name for s in run.of_kind("SERVER")] == expected


def test_hook_switched_off_leaves_a_request_without_route(traced):
    run = traced("asgi_shop.py", "fastapi", "/items/5", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="starlette,sqlite3")
    assert [span.name for span in run.spans] == ["GET"]


def test_requests_that_overlap_in_two_workers_keep_their_traces_apart(receiver, tmp_path):
    receiver.all(), receiver.log()  # of tests before
    port = free_port()
    command = [sys.executable, "-m", "pillion", "run", "--", sys.executable, "-m", "uvicorn", "asgi_relay:app"]
    command += ["--port", str(port), "--workers", "2", "--log-level", "error"]
    with serving(command, port, tmp_path / "server.log", receiver.environment(PORT=str(port)), APPS):
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda number: get(port, f"/relay/{number}"), range(MANY)))
        assert answers == [(200, str(number)) for number in range(MANY)], (tmp_path / "server.log").read_text()
    spans = receiver.all()
    by_id = {span.span_id: span for span in spans}
    leaves = [span for span in spans if span.name == "GET /leaf/{number}"]
    ways = Counter()
    for leaf in leaves:
        call = by_id[leaf.parent_id]
        relay = by_id[call.parent_id]
        ways[call.scope, relay.name, relay.parent_id, relay.trace_id == leaf.trace_id] += 1
        assert relay.attributes["url.path"].replace("relay", "leaf") == leaf.attributes["url.path"]
    assert ways == {("pillion.httpx", "GET /relay/{number}", "", True): MANY}
    assert receiver.log() == ""
    expected = {"GET /relay/{number}": MANY, "GET": MANY, "GET /leaf/{number}": MANY}
    assert Counter(span.name for span in spans) == expected
