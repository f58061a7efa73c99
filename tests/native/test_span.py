# SPDX-License-Identifier: Apache-2.0
"""Which spans are recorded: the samplers decide as opentelemetry-sdk's do, and ids and flags stay valid either way."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from tests.native.spans_peer import PARENT, TRACE, run

PARENT_ON, PARENT_OFF, PARENT_RATIO, ON, OFF, RATIO = range(6)
SAMPLED, RANDOM = 1, 2


def contexts(lines: list[str]) -> list[tuple[int, str, str, str]]:
    """flags, trace id, span id and tracestate of each span that is asked for."""
    found = []
    for line in run(lines).decode().splitlines():
        flags, trace_id, span_id, state = line.split(" ", 3)
        found.append((int(flags), trace_id, span_id, state))
    return found


@pytest.mark.parametrize("ratio", [0.0, 1e-9, 0.01, 1 / 3, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("sampler", [PARENT_RATIO, RATIO])
def test_ratio_sampler_decides_as_the_sdk_does(ratio: float, sampler: int) -> None:
    reference = TraceIdRatioBased(ratio)
    found = contexts([f"sampler {sampler} {ratio!r}", *["begin 1 @6e - 0", "context", "discard"] * 2000])
    assert len(found) == 2000
    for flags, trace_id, _, _ in found:
        decision = reference.should_sample(None, int(trace_id, 16), "n").decision
        assert bool(flags & SAMPLED) == (decision is Decision.RECORD_AND_SAMPLE)


@pytest.mark.parametrize("low", [0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_ratio_sampler_decides_at_the_borders_as_the_sdk_does(low: int, ratio: float) -> None:
    trace_id = (1 << 120) + low
    lines = [f"sampler {RATIO} {ratio}", f"parent {trace_id:032x} {PARENT.hex()} 0 1 -", "begin 1 @6e - 0", "context"]
    ((flags, _, _, _),) = contexts(lines)
    decision = TraceIdRatioBased(ratio).should_sample(None, trace_id, "n").decision
    assert bool(flags & SAMPLED) == (decision is Decision.RECORD_AND_SAMPLE)


@pytest.mark.parametrize(
    ("sampler", "root", "child_of_sampled", "child_of_unsampled"),
    [
        (PARENT_ON, True, True, False),
        (PARENT_OFF, False, True, False),
        (PARENT_RATIO, False, True, False),  # ratio 0
        (ON, True, True, True),
        (OFF, False, False, False),
        (RATIO, False, False, False),
    ],
)
def test_parent_decides_for_parent_based_samplers(
    sampler: int, root: bool, child_of_sampled: bool, child_of_unsampled: bool
) -> None:
    lines = [f"sampler {sampler} 0"]
    for flags in ("", "1", "0"):
        lines += [f"parent {TRACE.hex()} {PARENT.hex()} {flags} 1 -"] if flags else []
        lines += ["begin 1 @6e - 0", "context", "discard"]
    sampled = [bool(flags & SAMPLED) for flags, *_ in contexts(lines)]
    assert sampled == [root, child_of_sampled, child_of_unsampled]


@pytest.mark.parametrize("flags", range(4))
@pytest.mark.parametrize("sampler", [PARENT_ON, OFF])
def test_child_continues_the_trace_with_an_id_of_its_own(sampler: int, flags: int) -> None:
    lines = [f"sampler {sampler} 0", f"parent {TRACE.hex()} {PARENT.hex()} {flags} 1 {b'a=b,c=d'.hex()}"]
    ((own, trace_id, span_id, state),) = contexts([*lines, "begin 1 @6e - 0", "context"])
    assert trace_id == TRACE.hex() and span_id not in (PARENT.hex(), "0" * 16) and state == "a=b,c=d"
    assert own & RANDOM == flags & RANDOM
    assert own & SAMPLED == (flags & SAMPLED if sampler == PARENT_ON else 0)


def test_new_trace_says_that_its_id_is_random() -> None:
    for sampler in (ON, OFF):
        ((flags, trace_id, _, state),) = contexts([f"sampler {sampler} 0", "begin 1 @6e - 0", "context"])
        assert flags & RANDOM and int(trace_id, 16) and state == ""


def test_span_that_is_not_recorded_takes_everything_and_leaves_nothing() -> None:
    lines = [f"sampler {OFF} 0", "begin 1 @6e - 0", "set @6b i:1", "event @65 0", "last @6b i:1", "name @62"]
    lines += [f"link {TRACE.hex()} {PARENT.hex()} 1 0 -", "status 2 61", "kind 2", "end 0", "end 0", "drain 10000"]
    assert run(lines) == b""
