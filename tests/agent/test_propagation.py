# SPDX-License-Identifier: Apache-2.0
"""Trace context and baggage across the process border as Python sees them; native/tests has the tables of rules."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pillion._native import Remote, extract, extract_environ, inject

from tests.support.traced import Traced

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_what_comes_in_goes_out_with_the_same_trace_state_and_baggage() -> None:
    remote = extract({"traceparent": GOOD, "tracestate": " a=1 ,,b=2", "baggage": "k=v%20w;p, bad member,x=1"})
    assert remote is not None
    assert (remote.trace_id, remote.span_id, remote.flags) == (TRACE, SPAN, 1)
    assert inject(remote) == [("traceparent", GOOD), ("tracestate", "a=1,b=2"), ("baggage", "k=v%20w;p,x=1")]


@pytest.mark.parametrize(
    "traceparent",
    [
        f"ff-{TRACE}-{SPAN}-01",
        GOOD.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        GOOD + "-00",
        GOOD[:-1],
        f"{GOOD},{GOOD}",
        "",
        "\0" * 55,
        "é" * 55,
        "\udcff" * 55,
        "0" * 100_000,
    ],
)
def test_malformed_parent_counts_as_none_and_its_tracestate_too(traceparent: str) -> None:
    assert extract({"traceparent": traceparent, "tracestate": "a=1"}) is None
    assert extract_environ({"HTTP_TRACEPARENT": traceparent, "HTTP_TRACESTATE": "a=1"}) is None


@pytest.mark.parametrize("tracestate", ["A=1", "a=1,b", "a=" + "v" * 257, ",".join(f"k{i}=v" for i in range(33))])
def test_malformed_tracestate_never_spoils_the_parent(tracestate: str) -> None:
    remote = extract({"traceparent": GOOD, "tracestate": tracestate})
    assert remote is not None and remote.tracestate is None and inject(remote) == [("traceparent", GOOD)]


def test_long_tracestate_is_cut_to_512_by_whole_entries() -> None:
    entries = [f"k{i}={'v' * 40}" for i in range(20)]
    remote = extract({"traceparent": GOOD, "tracestate": ",".join(entries)})
    assert remote is not None and remote.tracestate is not None
    kept = remote.tracestate.split(",")
    assert kept == entries[: len(kept)] and 450 < len(remote.tracestate) <= 512


def test_higher_version_is_continued_as_version_00() -> None:
    remote = extract({"traceparent": f"cc-{TRACE}-{SPAN}-fb-more"})
    assert inject(remote) == [("traceparent", f"00-{TRACE}-{SPAN}-03")]


def test_baggage_without_a_parent_is_kept() -> None:
    remote = extract({"baggage": "k=v"})
    assert remote is not None and remote.trace_id == "0" * 32 and inject(remote) == [("baggage", "k=v")]


@pytest.mark.parametrize("value", [None, 5, b"bytes", [], object()])
def test_headers_that_are_no_text_count_as_absent(value: Any) -> None:
    assert extract({"traceparent": value, "tracestate": value, "baggage": value}) is None
    assert extract_environ({"HTTP_TRACEPARENT": value, "HTTP_BAGGAGE": value}) is None


@pytest.mark.parametrize("carrier", [None, 5, [], "text", object()])
def test_carriers_that_are_no_mapping_give_nothing(carrier: Any) -> None:
    assert extract(carrier) is None
    assert extract_environ(carrier) is None


def test_a_mapping_that_raises_gives_nothing_and_raises_nothing() -> None:
    class Broken(dict[str, str]):
        def __getitem__(self, key: str) -> str:
            raise RuntimeError(key)

    assert extract(Broken()) is None


def test_remote_made_of_nonsense_is_a_value_error() -> None:
    for arguments in ((), ("x",), (None, "a=1"), (None, None, "no members")):
        with pytest.raises(ValueError, match="Remote"):
            Remote(*arguments)


def test_any_garbage_gives_headers_that_are_plain_ascii_within_their_limits() -> None:
    source = random.Random(7)
    alphabet = 'abz09=,;%- \t\r\n\0é\udcff\u0661"\\' + "AF"
    for _ in range(3000):
        text = "".join(source.choices(alphabet, k=source.randrange(60)))
        remote = extract({"traceparent": GOOD, "tracestate": text, "baggage": text})
        headers = dict(inject(remote))
        assert headers.pop("traceparent") == GOOD
        for value in headers.values():
            assert (value.isascii() and value.isprintable()) or "\t" in value
            assert "\r" not in value and "\n" not in value and len(value) <= 8192


def test_opentelemetry_reads_what_we_send_and_we_what_it_sends() -> None:
    remote = extract({"traceparent": GOOD, "tracestate": "a=1", "baggage": "name=Am%C3%A9lie%20B,x=%25"})
    headers = dict(inject(remote))
    context = W3CBaggagePropagator().extract(headers, TraceContextTextMapPropagator().extract(headers))
    sent: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(sent, context)
    W3CBaggagePropagator().inject(sent, context)
    again = extract(sent)
    assert again is not None
    assert (again.trace_id, again.span_id, again.tracestate) == (TRACE, SPAN, "a=1")
    assert again.baggage is not None and again.baggage.startswith("name=Am%C3%A9lie") and "x=%25" in again.baggage


@pytest.mark.parametrize(
    ("propagators", "expected"),
    [
        ("tracecontext", ["traceparent", "tracestate"]),
        ("baggage", ["baggage"]),
        ("none", []),
        ("", ["traceparent", "tracestate", "baggage"]),
    ],
)
def test_propagators_that_are_off_neither_read_nor_write(traced: Traced, propagators: str, expected: list[str]) -> None:
    result = traced.run(
        f"""
        import json
        from pillion import _native
        remote = _native.extract({{"traceparent": "{GOOD}", "tracestate": "a=1", "baggage": "k=v"}})
        print(json.dumps([name for name, _ in _native.inject(remote)] if remote else []))
        """,
        OTEL_PROPAGATORS=propagators,
    )
    assert (json.loads(result.out), result.err) == (expected, "")
