# SPDX-License-Identifier: Apache-2.0
"""starlette: the route's template is on the request's span and in its name, never a path."""

from __future__ import annotations

import pytest

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
