# SPDX-License-Identifier: Apache-2.0
"""django: the request's span has its route and what raised, under WSGI and ASGI, and the program cannot tell."""

from __future__ import annotations

import sys

import pytest

from tests.agent.hooks.conftest import APPS
from tests.journey.programs import get, gunicorn, serving
from tests.support.servers import free_port

PATHS = {
    "/items/5/": ("GET /items/<int:item>/", "unset", 200, None),
    "/later/6/": ("GET /later/<int:item>/", "unset", 200, None),
    "/api/v2/part/bolt/": ("GET /api/<version>/part/(?P<name>[a-z]+)/$", "unset", 200, None),
    "/old/7": (r"GET /old/(\d+)$", "unset", 200, None),
    "/crash/": ("GET /crash/", "error", 500, "ZeroDivisionError"),
    "/absent/": ("GET /absent/", "unset", 404, None),
    "/forbidden/": ("GET /forbidden/", "unset", 403, None),
    "/refused/": ("GET /refused/", "error", 503, "503"),
    "/stream/": ("GET /stream/", "unset", 200, None),
    "/nowhere/": ("GET", "unset", 404, None),
}


@pytest.mark.parametrize("server", ["wsgiref", "uvicorn"])
def test_every_request_is_one_server_span_with_its_route(traced, server):
    run = traced("django_shop.py", server, *PATHS)
    told = [
        (s.name, s.status, s.attributes["http.response.status_code"], s.attributes.get("error.type"))
        for s in run.of_kind("SERVER")
    ]
    assert told == list(PATHS.values())
    assert {(s.trace_id, s.parent_id) for s in run.spans} == {("a" * 32, "b" * 16)}
    assert [s.attributes.get("http.route") for s in run.spans] == [
        name.partition(" ")[2] or None for name, *_ in PATHS.values()
    ]


@pytest.mark.parametrize("server", ["wsgiref", "uvicorn"])
def test_exception_that_became_a_500_is_recorded_once(traced, server):
    crash = traced("django_shop.py", server, *PATHS).named("GET /crash/")
    [(name, attributes)] = crash.events
    assert (name, attributes["exception.message"]) == ("exception", "of the application")
    assert "in crash" in attributes["exception.stacktrace"]


def test_server_hooks_switched_off_leave_the_span_to_django(traced):
    run = traced("django_shop.py", "wsgiref", "/items/5/", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="wsgi")
    assert [(s.name, s.scope) for s in run.spans] == [("GET /items/<int:item>/", "pillion.django")]


def test_hook_switched_off_leaves_a_request_without_route(traced):
    run = traced("django_shop.py", "wsgiref", "/items/5/", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="django")
    assert [s.name for s in run.spans] == ["GET"]


def test_under_gunicorn_a_request_holds_its_queries(receiver, postgres, tmp_path):
    port = free_port()
    variables = receiver.environment(PGPORT=postgres)
    command = [sys.executable, "-m", "pillion", "run", "--", *gunicorn(port, "django_shop:application")]
    with serving(command, port, tmp_path / "server.log", variables, APPS):
        status, text = get(port, "/stored/secret/")
    assert (status, text) == (200, "['secret']"), (tmp_path / "server.log").read_text()
    spans = receiver.all()
    [request] = [span for span in spans if span.kind == "SERVER"]
    assert request.name == "GET /stored/<name>/"
    inside = [span.name for span in spans if span.parent_id == request.span_id]
    assert [name for name in inside if "items" in name][-2:] == ['INSERT "items"', 'SELECT "items"']
    assert {span.scope for span in spans} == {"pillion.wsgi", "pillion.psycopg"}
    assert "secret" not in str([span.attributes for span in spans if span.kind == "CLIENT"])
