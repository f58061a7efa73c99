# SPDX-License-Identifier: Apache-2.0
"""redis: one CLIENT span a command or pipeline, by name alone; a broker's own traffic makes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import ClassVar

import pytest
from pillion._native import Call
from pillion.hooks import redis as hook

from tests.agent.hooks.conftest import Run
from tests.support import servers


@pytest.fixture(scope="module")
def basket(traced: Callable[..., Run]) -> Iterator[Callable[..., Run]]:
    """Runs one part of the program, on a server of its own."""
    with servers.redis() as port:
        if port is None:
            pytest.skip("needs redis-server (package redis-server)")

        def run(part: str, **extra: str) -> Run:
            made = traced("redis_basket.py", part, REDIS_PORT=str(port), **extra)
            made.port = port
            return made

        yield run


def told(run):
    return [
        (s.name, s.attributes.get("db.response.status_code"), s.attributes.get("db.operation.batch.size"))
        for s in run.spans
    ]


def test_every_command_and_every_pipeline_is_one_span(basket):
    run = basket("sync")
    assert told(run) == [
        ("FLUSHDB", None, None),
        ("SET", None, None),
        ("GET", None, None),
        ("CONFIG GET", None, None),
        ("LPUSH", "WRONGTYPE", None),
        ("ECHO", "ERR", None),
        ("ECHO", None, None),
        ("ECHO", None, None),
        ("MULTI", None, 2),
        ("PIPELINE GET", None, 2),
        ("WATCH", None, None),
        ("GET", None, None),
        ("MULTI SET", None, None),
        ("PUBLISH", None, None),
        ("GET", None, None),
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("CLIENT", "pillion.redis")}


def test_asynchronous_client_makes_the_same(basket):
    run = basket("asynchronous")
    assert told(run) == [
        ("FLUSHDB", None, None),
        *[("SET", None, None)] * 3,
        ("GET", None, None),
        ("MULTI", None, 2),
        ("LPUSH", "WRONGTYPE", None),
        ("BLPOP", None, None),
    ]
    assert run.spans[-1].attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_neither_key_nor_value_leaves_the_process(basket):
    assert "secret" not in str(basket("sync").spans) + str(basket("asynchronous").spans)


def test_span_says_where_and_which_database(basket):
    run = basket("sync")
    assert dict(run.spans[1].attributes) == {
        "db.system.name": "redis",
        "db.operation.name": "SET",
        "db.namespace": "3",
        "server.address": "localhost",
        "server.port": run.port,
    }


def test_failure_has_status_error_type_and_exception(basket):
    refused = basket("sync").spans[-1]
    assert (refused.status, refused.attributes["error.type"]) == ("error", "redis.exceptions.ConnectionError")
    assert [name for name, _ in refused.events] == ["exception"]


def test_traffic_of_a_broker_s_transport_is_no_span(basket):
    assert basket("transport").spans == []


def test_hook_switched_off_makes_no_span(basket):
    assert basket("sync", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="redis").spans == []


class Pool:
    connection_kwargs: ClassVar = {"path": "/run/redis.sock"}


def test_what_is_known_of_pools_is_bounded_and_brokers_stay_known(monkeypatch):
    monkeypatch.setattr(hook, "NAMES", 5)
    monkeypatch.setattr(hook, "_pools", {})
    broker = Pool()
    hook.broker(Call(None), broker)
    for _ in range(20):
        pool = Pool()
        assert hook.described(pool, "", "GET") is hook.described(pool, "", "GET")
    assert len(hook._pools) <= 5
    assert hook.described(broker, "", "GET") is None
    for number in range(20):
        hook.described(pool, "", f"C{number}")
    assert len(hook._pools[id(pool)][1]) <= 5


def test_unix_socket_is_told_by_its_path_and_command_by_its_name_alone():
    client = SimpleNamespace(connection_pool=Pool())
    name, attributes = hook.describe(Call(client, "xgroup create", "a-key"))
    assert name == "XGROUP CREATE"
    assert (attributes["server.address"], attributes.get("server.port")) == ("/run/redis.sock", None)
    assert hook.operation_of(b"set key value") == "SET"
    assert hook.operation_of(7) == ""
