# SPDX-License-Identifier: Apache-2.0
"""The table commands as a user runs them: against a real collector, without one, and wrongly."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from pillion_collector.cli import COMMANDS

from tests.collector.conftest import DEADLINE_S, MAIN, Running, running

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


def pillion(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PILLION_", "COLUMNS", "NO_COLOR"))}
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(command, env={**clean, **environ}, capture_output=True, text=True, timeout=DEADLINE_S)


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Running, str]]:
    """A collector with one good and one failed trace; and the id of the failed one."""
    with running() as start:
        collector = start()
        provider = TracerProvider(resource=Resource({"service.name": "shop", "service.instance.id": "a"}))
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=collector.grpc, insecure=True)))
        tracer = provider.get_tracer("t")
        with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER):
            pass
        with tracer.start_as_current_span("POST /pay", kind=SpanKind.SERVER, attributes={"http.route": "/pay"}) as span:
            with tracer.start_as_current_span("INSERT \x1b[31mevil", kind=SpanKind.CLIENT):
                pass
            span.set_status(StatusCode.ERROR, "the till is jammed")
        provider.shutdown()
        yield collector, f"{span.get_span_context().trace_id:032x}"


Shop = tuple[Running, str]


def shown(shop: Shop, *arguments: str, **environ: str) -> str:
    done = pillion(*arguments, "--url", shop[0].ui, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_services_are_a_table(shop: Shop) -> None:
    head, row = shown(shop, "services").splitlines()
    assert head.split() == ["SERVICE", "RATE", "REQUESTS", "ERRORS", "P50", "P95", "P99", "INSTANCES", "LAST"]
    assert row.split()[0] == "shop" and "50 %" in row


def test_traces_are_a_table_and_take_the_filters_of_the_api(shop: Shop) -> None:
    lines = shown(shop, "traces").splitlines()
    assert len(lines) == 3 and lines[1].startswith(shop[1]) and "POST /pay" in lines[1]
    for flags in (
        ["--status", "error"],
        ["--attribute", "http.route=/pay"],
        ["--q", "jammed"],
        ["--operation", "POST /pay"],
    ):
        assert len(shown(shop, "traces", *flags).splitlines()) == 2
    assert "no traces yet" in shown(shop, "traces", "--min", "10s")
    assert "only the first 1" in shown(shop, "traces", "--limit", "1")


def test_a_trace_is_a_tree_by_its_first_digits_and_its_names_cannot_drive_the_terminal(shop: Shop) -> None:
    text = shown(shop, "trace", shop[1][:10])
    assert "✗ POST /pay" in text and "└ INSERT �[31mevil" in text and "the till is jammed" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("command", [["services"], ["traces"], ["ps"], ["crashes"], ["stats"]])
def test_every_command_prints_the_apis_answer_with_json(shop: Shop, command: list[str]) -> None:
    assert isinstance(json.loads(shown(shop, *command, "--json")), dict)


def test_a_trace_prints_its_spans_with_json(shop: Shop) -> None:
    answer: dict[str, Any] = json.loads(shown(shop, "trace", shop[1], "--json"))
    assert [one["name"] for one in answer["spans"]] == ["POST /pay", "INSERT \x1b[31mevil"]


def test_the_collector_may_be_named_by_the_environment(shop: Shop) -> None:
    assert "shop" in pillion("services", PILLION_URL=shop[0].ui).stdout


def test_tables_fit_the_width(shop: Shop) -> None:
    for command in (["services"], ["traces"], ["trace", shop[1]], ["stats"]):
        lines = shown(shop, *command, COLUMNS="100").splitlines()
        assert max(map(len, lines)) <= 100, command


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_terminals_that_want_them(shop: Shop, environ: dict[str, str], coloured: bool) -> None:
    ours, theirs = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    command = [sys.executable, "-c", MAIN, "services", "--url", shop[0].ui]
    done = subprocess.run(command, env={**clean, "TERM": "xterm", **environ}, stdout=theirs, timeout=DEADLINE_S)
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0 and "shop" in text
    assert ("\x1b[36mshop\x1b[0m" in text) is coloured and ("\x1b" in text) is coloured


@pytest.mark.parametrize("command", [["services"], ["traces"], ["trace", "abcd1234"], ["ps"], ["crashes"], ["stats"]])
def test_without_a_collector_one_line_says_what_to_do(command: list[str]) -> None:
    done = pillion(*command, "--url", NOWHERE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"pillion {command[0]}: no collector answers at {NOWHERE} (connection refused); "
        "start one with `pillion up`, or name it with --url or PILLION_URL\n"
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["trace", "xyz"], "pillion trace: ID xyz: not a trace id; give 32 hex digits, or at least the first 4"),
        (["traces", "--min", "fast"], "pillion traces: --min fast: not a duration; "),
        (["traces", "--status", "bad"], "pillion traces: argument --status: invalid choice: 'bad'"),
        (["traces", "--limit", "0"], "pillion traces: limit: takes a whole number from 1 to 1000"),
        (["traces", "--from", "yesterday"], "pillion traces: from: takes nanoseconds since the epoch, or "),
        (["services", "--url", "ftp://x"], "pillion services: --url (PILLION_URL) ftp://x: not an http address; "),
        (["services", "--stat"], "pillion services: unrecognized arguments: --stat; see `pillion services --help`"),
        (["trace"], "pillion trace: the following arguments are required: ID; see `pillion trace --help`"),
        (["servces"], "pillion: argument COMMAND: invalid choice: 'servces'"),
        ([], "pillion: the following arguments are required: COMMAND; see `pillion --help`"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(shop: Shop, command: list[str], told: str) -> None:
    done = pillion(*command, PILLION_URL=shop[0].ui)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(told) and done.stderr.count("\n") == 1


def test_a_trace_that_is_not_there_is_trouble_not_wrong_usage(shop: Shop) -> None:
    done = pillion("trace", "0" * 31 + "1", "--url", shop[0].ui)
    assert (done.returncode, done.stderr) == (1, "pillion trace: id: no such trace is stored\n")


def test_something_else_than_a_collector_is_named(shop: Shop) -> None:
    done = pillion("services", "--url", f"http://{shop[0].grpc}")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str) -> None:
    done = pillion(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "examples:" in done.stdout and f"pillion {name}" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_trouble(shop: Shop) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", MAIN, "traces", "--json", "--url", shop[0].ui]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=DEADLINE_S)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
