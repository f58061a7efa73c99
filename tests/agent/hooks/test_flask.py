# SPDX-License-Identifier: Apache-2.0
"""flask: one SERVER span a request with its route, whatever serves it, and the program cannot tell."""

from __future__ import annotations

import pytest

PATHS = [
    "/items/5?sig=secret",
    "POST~/items/6",
    "/parts/bolt",
    "/crash",
    "/teapot",
    "/refused",
    "/handled",
    "/stream",
    "/broken-stream",
    "/nowhere",
    "PUT~/items/7",
]
EXPECTED = [
    ("GET /items/<int:item>", "unset", 200, None),
    ("POST /items/<int:item>", "unset", 200, None),
    ("GET /parts/<name>", "unset", 200, None),
    ("GET /crash", "error", 500, "ZeroDivisionError"),
    ("GET /teapot", "unset", 418, None),
    ("GET /refused", "error", 503, "503"),
    ("GET /handled", "unset", 400, None),
    ("GET /stream", "unset", 200, None),
    ("GET /broken-stream", "error", 200, "RuntimeError"),
    ("GET", "unset", 404, None),
    ("PUT", "unset", 405, None),
]


@pytest.mark.parametrize("server", ["werkzeug", "wsgiref"])
def test_every_request_is_one_server_span_with_its_route(traced, server):
    run = traced("flask_shop.py", server, *PATHS)
    requests = run.of_kind("SERVER")
    told = [
        (s.name, s.status, s.attributes["http.response.status_code"], s.attributes.get("error.type")) for s in requests
    ]
    assert told == EXPECTED
    assert [s.attributes.get("http.route") for s in requests] == [
        name.partition(" ")[2] or None for name, *_ in EXPECTED
    ]
    assert {(s.trace_id, s.parent_id) for s in requests} == {("a" * 32, "b" * 16)}
    assert "secret" not in str(run.spans)


def test_rendered_template_is_a_child_of_its_request(traced):
    run = traced("flask_shop.py", "werkzeug", "/parts/bolt")
    assert run.named("render template").parent_id == run.named("GET /parts/<name>").span_id


def test_exception_that_became_a_500_is_recorded_once(traced):
    crash = traced("flask_shop.py", "werkzeug", "/crash").named("GET /crash")
    [(name, attributes)] = crash.events
    assert (name, attributes["exception.message"]) == ("exception", "of the application")
    assert "in crash" in attributes["exception.stacktrace"]


def test_route_of_a_mounted_application_begins_with_its_root(traced):
    span = traced("flask_shop.py", "mounted", "/shop/items/5").of_kind("SERVER")[0]
    assert (span.name, span.attributes["http.route"]) == ("GET /shop/items/<int:item>", "/shop/items/<int:item>")


def test_server_hooks_switched_off_leave_the_span_to_flask(traced):
    run = traced("flask_shop.py", "werkzeug", "/items/5", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="wsgi")
    assert (run.spans[0].name, run.spans[0].scope) == ("GET /items/<int:item>", "pillion.flask")


def test_hook_switched_off_leaves_a_request_without_route(traced):
    run = traced("flask_shop.py", "werkzeug", "/items/5", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="flask, jinja2")
    assert [span.name for span in run.spans] == ["GET"]


def test_excluded_url_makes_no_span(traced):
    run = traced("flask_shop.py", "werkzeug", "/items/5", "/teapot", OTEL_PYTHON_FLASK_EXCLUDED_URLS="items/.*,health")
    assert [span.name for span in run.of_kind("SERVER")] == ["GET /teapot"]
