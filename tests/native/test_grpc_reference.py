# SPDX-License-Identifier: Apache-2.0
"""The sender against grpcio, the reference implementation: bytes, headers, every status, deadlines, restarts."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from tests.native.grpc_peer import STATUS, fail, reference, sender

RETRYABLE = {1, 4, 10, 11, 14, 15}


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/collector.sock"


@pytest.mark.parametrize("address", ["unix", "127.0.0.1", "localhost", "[::1]", "http"])
def test_every_kind_of_target_is_reached(address: str, target: str) -> None:
    listen = {"unix": target, "[::1]": "[::1]:0"}.get(address, "127.0.0.1:0")
    with reference(listen) as server:
        host = "http://127.0.0.1" if address == "http" else address
        with sender(target if address == "unix" else f"{host}:{server.port}") as one:
            one.post(b"spans", 3)
            assert one.done()["outcome"] == "sent"
            assert server.got == [b"spans"]
            one.counts(sent_items=3)


def test_requests_of_any_size_arrive_equal_and_in_order(target: str) -> None:
    bodies = [os.urandom(size) for size in (0, 1, 16378, 16379, 16380, 65530, 65531, 1 << 20, 3_999_999)]
    with reference(target) as server, sender(target) as one:
        for body in bodies:
            one.batch(body)
        assert one.say("flush 30000")["status"] == STATUS["OK"]
        assert server.got == bodies
        one.counts(connects=1)


def test_user_agent_headers_and_deadline_are_told(target: str) -> None:
    with (
        reference(target) as server,
        sender(target, version="1.2.3", headers=["Api-Key:secret", "x-team:a b"], timeout_ms=7000) as one,
    ):
        one.post(b"x")
        one.done()
        said = server.metadata[0]
        assert (said["user-agent"], said["api-key"], said["x-team"]) == ("pillion/1.2.3 (python)", "secret", "a b")
        assert 0 < server.remaining[0] <= 7


@pytest.mark.parametrize("code", range(1, 17))
def test_each_status_is_retried_or_refused_as_otlp_says(code: int, target: str) -> None:
    def handler(body: bytes, context: Any) -> bytes:
        if len(server.got) == 1:
            fail(context, code, "first time no")
        return b""

    with reference(target, handler) as server, sender(target) as one:
        one.post(b"spans", 5)
        done = one.done()
        if code in RETRYABLE:
            assert (done["outcome"], len(server.got)) == ("sent", 2)
            one.counts(retries=1, sent_items=5)
        else:
            assert (done["outcome"], done["rejected"], len(server.got)) == ("rejected", 5, 1)
            one.counts(rejected_items=5, last_code=code, last_message="first time no")


@pytest.mark.parametrize("code", [8, 14])
def test_retry_info_allows_a_repetition_and_sets_its_time(code: int, target: str) -> None:
    def handler(body: bytes, context: Any) -> bytes:
        if len(server.got) == 1:
            fail(context, code, "slow down", retry_after=0.6)
        return b""

    with reference(target, handler) as server, sender(target) as one:
        one.post(b"spans")
        assert one.done()["outcome"] == "sent"
        assert server.times[1] - server.times[0] >= 0.6
        assert server.got == [b"spans", b"spans"]


@pytest.mark.parametrize(("rejected", "counted"), [(2, 2), (0, 0), (99, 5), (-1, 0)])
def test_partial_success_is_counted_and_never_repeated(rejected: int, counted: int, target: str) -> None:
    response = trace_service_pb2.ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = "too long"
    with reference(target, lambda body, context: response.SerializeToString()) as server, sender(target) as one:
        one.post(b"spans", 5)
        done = one.done()
        assert (done["outcome"], done["rejected"], len(server.got)) == ("sent", counted, 1)
        one.counts(sent_items=5 - counted, rejected_items=counted, partial=1, last_message="too long")


def test_a_response_that_is_no_protobuf_is_an_internal_error(target: str) -> None:
    with reference(target, lambda body, context: b"\x0a\x7f") as server, sender(target) as one:
        one.post(b"spans", 5)
        assert one.done()["outcome"] == "rejected"
        one.counts(last_code=13)
        assert len(server.got) == 1


def test_a_response_beyond_4_mib_is_not_read_to_its_end(target: str) -> None:
    with reference(target, lambda body, context: bytes(5 << 20)), sender(target) as one:
        one.post(b"spans", 5)
        assert one.done()["outcome"] == "rejected"
        one.counts(last_message="the response is too large")


def test_an_answer_after_the_deadline_is_given_up_and_the_request_repeated(target: str) -> None:
    release = threading.Event()

    def handler(body: bytes, context: Any) -> bytes:
        if len(server.got) == 1:
            release.wait(20)
        return b""

    with reference(target, handler) as server, sender(target, timeout_ms=300) as one:
        one.post(b"spans")
        server.wait(2)
        release.set()
        assert one.done()["outcome"] == "sent"
        assert len(server.got) >= 2


def test_a_restarted_server_gets_what_it_missed(target: str) -> None:
    with sender(target, backoff_max_ms=50) as one:
        with reference(target) as server:
            one.post(b"before")
            assert one.done(0)["outcome"] == "sent"
        Path(target[5:]).unlink(missing_ok=True)
        one.post(b"during")
        one.until(lambda: one.stats()["refused"] >= 2)
        with reference(target) as server:
            assert one.done(1)["outcome"] == "sent"
            assert server.got == [b"during"]


def test_a_server_that_stops_in_the_middle_of_a_call_gets_it_again(target: str) -> None:
    hold = threading.Event()
    with sender(target) as one:
        with reference(target, lambda body, context: bytes(0 * hold.wait(20))) as first:
            one.post(b"spans")
            first.wait(1)
            first.server.stop(0)
            one.until(lambda: one.stats()["retries"] > 0)
            hold.set()
        Path(target[5:]).unlink(missing_ok=True)
        with reference(target) as second:
            assert one.done()["outcome"] == "sent"
            assert second.got == [b"spans"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("https://collector:4317", "UNSUPPORTED"),
        ("ftp://collector:4317", "BAD_INPUT"),
        ("", "BAD_INPUT"),
        ("collector:0", "BAD_INPUT"),
        ("collector:99999", "BAD_INPUT"),
        ("collector:x", "BAD_INPUT"),
        ("a:b:c", "BAD_INPUT"),
        ("[::1", "BAD_INPUT"),
        ("user@host:1", "BAD_INPUT"),
        ("unix:", "BAD_INPUT"),
        ("unix:/" + "x" * 108, "TOO_LARGE"),
        ("collector", "OK"),
        ("http://collector/v1/traces", "OK"),
        ("unix:///run/pillion.sock", "OK"),
    ],
)
def test_a_target_is_understood_or_refused(text: str, status: str) -> None:
    with sender(text) as one:
        assert one.opened["status"] == STATUS[status]


@pytest.mark.parametrize("header", ["te:x", "a b:x", "grpc-timeout:1S", ":path:/x", "x:a\tb"])
def test_a_header_that_may_not_go_out_is_refused_at_once(header: str) -> None:
    with sender("unix:/x", headers=[header]) as one:
        assert one.opened["status"] == STATUS["BAD_INPUT"]
