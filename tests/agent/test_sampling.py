# SPDX-License-Identifier: Apache-2.0
"""Sampling, decided in C, against opentelemetry-sdk's samplers: the same decision for every trace id and parent.

One difference by name: around the words of OTEL_TRACES_SAMPLER spaces don't count here; the SDK doesn't know the
sampler then.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import sampling

from tests.support.traced import Traced

RATIOS = ["0", "5e-324", repr(2.5 / 2**64), repr(3.5 / 2**64), "1e-10", "0.001", "0.01", "0.1", repr(1 / 3), "0.5",
          "0.9999999999999999", "1", "1.0"]  # fmt: skip
NO_RATIOS = ["", "abc", "-1", "-0.0001", "1.0000001", "2", "nan", "inf", "-inf", "0x1", "0,5", "1e400", "0.1 0.2", "½"]
NAMES = ["always_on", "always_off", "parentbased_always_on", "parentbased_always_off", "AlwaysOn", "ALWAYS_OFF",
         "jaeger_remote", "xray", "", "ParentBased_Always_Off", "trace_id_ratio"]  # fmt: skip
SETTINGS = [
    *(("traceidratio", ratio) for ratio in RATIOS + NO_RATIOS),
    *(("parentbased_traceidratio", ratio) for ratio in [*RATIOS, "x"]),
    *((name, None) for name in [*NAMES, "traceidratio", "parentbased_traceidratio"]),
    *((name, "0.0") for name in ("always_on", "parentbased_always_on")),  # an argument that isn't theirs
]

PROGRAM = """
import json, sys
from pillion._native import Remote, begin, inject
found = []
def ask(parent, number):
    span = begin(str(number), 2, None, parent)
    header = dict(inject(span))
    found.append([number, span.trace_id, span.recording, span.flags, header])
    span.end()
    return span
for number, (trace_id, flags) in enumerate(json.load(open(sys.argv[1]))):
    ask(Remote(f"00-{trace_id}-00000000000000aa-{flags:02x}", "vendor=x,other=y", "user=7"), number)
for number in range(300):
    ask(None, 10_000 + number)
for number in range(100):  # a child here of a parent here, that began with each decision
    parent = ask(None, 20_000 + number)
    child = ask(parent, 30_000 + number)
print(json.dumps(found))
"""


def oracle(monkeypatch: pytest.MonkeyPatch, name: str | None, argument: str | None) -> sampling.Sampler:
    for variable, value in (("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
    return sampling._get_from_env_or_default()


def decides(sampler: sampling.Sampler, trace_id: str, flags: int | None, remote: bool) -> bool:
    """The SDK's decision about a span of this trace whose parent (None: it has none) has these flags."""
    context = None
    if flags is not None:
        parent = trace.SpanContext(int(trace_id, 16), 0xAA, remote, trace.TraceFlags(flags))
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    return sampler.should_sample(context, int(trace_id, 16), "name").decision.is_sampled()


def incoming(sampler: sampling.Sampler) -> list[tuple[str, int]]:
    """Trace ids at random and around the sampler's bound, each with the flags of a parent that came over the wire."""
    numbers = random.Random(7)
    low = [0, 1, 2, 3, 4, 2**63 - 1, 2**63, 2**64 - 1, *(numbers.getrandbits(64) for _ in range(60))]
    bound = getattr(getattr(sampler, "_root", sampler), "_bound", 0)
    low += [bound + near & 2**64 - 1 for near in (-2, -1, 0, 1)]
    ids = [f"{numbers.getrandbits(64) | 1:016x}{each:016x}" for each in low]
    return [(trace_id, flags) for trace_id in ids for flags in (0, 1, 2, 3)]


@pytest.mark.parametrize(("name", "argument"), SETTINGS)
def test_decisions_are_those_of_the_sdk_and_what_is_dropped_is_propagated(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, name: str, argument: str | None
) -> None:
    sampler = oracle(monkeypatch, name, argument)
    parents = incoming(sampler)
    (traced.folder / "parents.json").write_text(json.dumps(parents))
    variables = {"OTEL_TRACES_SAMPLER": name} | ({} if argument is None else {"OTEL_TRACES_SAMPLER_ARG": argument})
    result = traced.run(PROGRAM, str(traced.folder / "parents.json"), **variables)
    assert (result.code, result.err) == (0, "")
    found: dict[int, Any] = {number: rest for number, *rest in json.loads(result.out)}
    for number, (trace_id, recording, flags, headers) in found.items():
        if number < 10_000:
            expected = decides(sampler, trace_id, parents[number][1], remote=True)
            assert trace_id == parents[number][0]
            assert (headers["tracestate"], headers["baggage"]) == ("vendor=x,other=y", "user=7")
        elif number < 30_000:
            expected = decides(sampler, trace_id, None, remote=False)
        else:
            parent = found[number - 10_000]
            expected = decides(sampler, trace_id, parent[2], remote=False)
            assert trace_id == parent[0]
        assert recording == bool(flags & 1) == expected, (number, trace_id)
        random_bit = parents[number][1] & 2 if number < 10_000 else 2  # of the W3C: only who makes the id can tell
        assert headers["traceparent"][:36] == f"00-{trace_id}-" and headers["traceparent"][53:] == f"{flags:02x}"
        assert flags & 2 == random_bit
    sampled = {str(number) for number, (_, recording, _, _) in found.items() if recording}
    traced.sink.wait(lambda: len(traced.sink.spans) >= len(sampled))
    assert {span.name for span in traced.sink.spans} == sampled and len(traced.sink.spans) == len(sampled)
    assert all(span.raw.flags & 1 for span in traced.sink.spans)


@pytest.mark.parametrize("value", NO_RATIOS[1:])
def test_wrong_ratio_is_told_and_one_is_used(traced: Traced, value: str) -> None:
    variables = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": value}
    assert traced.run("import pillion", **variables).code == 0
    assert "OTEL_TRACES_SAMPLER_ARG" in traced.log() and "used instead: 1.0" in traced.log()


def test_ratio_takes_its_share_of_new_traces(traced: Traced) -> None:
    result = traced.run(
        "from pillion._native import begin; print(sum(begin('x', 1, None, None).recording for _ in range(20_000)))",
        OTEL_TRACES_SAMPLER="traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.1",
    )
    assert 1700 < int(result.out) < 2300  # seven standard deviations


def test_children_and_outgoing_calls_of_a_dropped_request_carry_it_on(traced: Traced) -> None:
    result = traced.run(
        """
        import pillion
        from pillion import wsgi
        from pillion._native import inject
        def application(environ, start):
            with pillion.span("inner"):
                with pillion.span("deeper"):
                    headers.update(inject())
            start("200 OK", [])
            return [b""]
        headers = {}
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_TRACESTATE": "a=1", "HTTP_BAGGAGE": "k=v",
                   "HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
        wsgi.wrap(application)(environ, lambda *a: None)
        print(headers["traceparent"][:36], headers["traceparent"][-2:], headers["tracestate"], headers["baggage"])
        print(headers["traceparent"][36:52] != "b7ad6b7169203331")
        """
    )
    assert result.out == "00-0af7651916cd43dd8448eb211c80319c- 00 a=1 k=v\nTrue\n", result.err
    assert traced.sink.spans == []
