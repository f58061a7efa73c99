# SPDX-License-Identifier: Apache-2.0
"""The same exactness as in test_red.py, of requests under uvicorn and of what goes to Redis and PostgreSQL."""

from __future__ import annotations

import sys

import pytest

from tests.agent.test_red import APPS, DB, RATES, SERVER
from tests.support import servers
from tests.support.points import counts
from tests.support.traced import Traced


@pytest.mark.parametrize("rate", ["all", "none"])
def test_counts_of_an_asgi_app_under_uvicorn_are_what_was_sent(traced: Traced, rate: str) -> None:
    paths = ["/items/5"] * 3 + ["/sync/1"] * 2 + ["/crash", "/refused", "/teapot", "/stream", "/nowhere"]
    command = [sys.executable, str(APPS / "asgi_shop.py"), "fastapi", *paths]
    result = traced.execute(command, traced.environ(**RATES[rate]))
    assert (result.code, result.out.count("HTTP/1.1")) == (0, len(paths)), result.err
    columns = ("http.request.method", "http.route", "http.response.status_code", "error.type")
    assert counts(traced.sink, SERVER, *columns) == {
        ("GET", "/items/{item}", 200, None): 3,
        ("GET", "/sync/{item}", 200, None): 2,
        ("GET", "/crash", 500, "ZeroDivisionError"): 1,
        ("GET", "/refused", 503, "503"): 1,
        ("GET", "/teapot", 418, None): 1,
        ("GET", "/stream", 200, None): 1,
        ("GET", None, 404, None): 1,
    }
    assert set(counts(traced.sink, SERVER, "url.scheme", "network.protocol.version")) == {("http", "1.1")}
    assert bool(traced.sink.spans) == (rate == "all")


@pytest.mark.parametrize("rate", ["all", "none"])
def test_commands_and_statements_of_servers_count_once_each(traced: Traced, rate: str) -> None:
    with servers.redis() as redis, servers.postgres() as postgres:
        if redis is None or postgres is None:
            pytest.skip("needs redis-server and PostgreSQL (packages redis-server, postgresql)")
        result = traced.run(
            """
            import sys, psycopg, psycopg2, redis, pillion
            client = redis.Redis(port=int(sys.argv[1]), db=2)
            place = f"host=127.0.0.1 port={sys.argv[2]} dbname=shop user=shop"
            three, two = psycopg.connect(place), psycopg2.connect(place)
            with pillion.span("request"):
                for number in range(5):
                    client.set(f"key {number}", number)
                    three.execute("SELECT %s + 1", (number,))
                    two.cursor().execute("SELECT 2")
                with client.pipeline() as pipeline:
                    pipeline.get("a").get("b").execute()
                try: client.lpush("key 1", "x")
                except redis.ResponseError: pass
                try: two.cursor().execute("SELECT 1 FROM nowhere")
                except psycopg2.Error: pass
            """,
            str(redis),
            str(postgres),
            **RATES[rate],
        )
    assert (result.code, result.err) == (0, "")
    columns = ("db.system.name", "db.operation.name", "db.namespace", "server.port", "db.response.status_code")
    assert counts(traced.sink, DB, *columns) == {
        ("redis", "SET", "2", redis, None): 5,
        ("redis", "MULTI GET", "2", redis, None): 1,
        ("redis", "LPUSH", "2", redis, "WRONGTYPE"): 1,
        ("postgresql", "SELECT", "shop", postgres, None): 10,
        ("postgresql", "SELECT", "shop", postgres, "42P01"): 1,
    }
    assert bool(traced.sink.spans) == (rate == "all")
