# SPDX-License-Identifier: Apache-2.0
"""What C records decodes with opentelemetry-proto and equals what was asked for, field by field."""

from __future__ import annotations

import math
import random

import pytest

from tests.native.spans_peer import Value, Wanted, any_value, batches, hexed, one_span, word

VALUES: dict[str, Value] = {
    "string": "text",
    "empty": "",
    "unicode": "Grüße, 世界 \N{PILE OF POO} \x00 inside",
    "true": True,
    "false": False,
    "int": 42,
    "zero": 0,
    "negative": -1,
    "smallest": -(2**63),
    "largest": 2**63 - 1,
    "double": 1.5,
    "infinite": -math.inf,
    "tiny": 5e-324,
    "bytes": bytes(range(256)),
    "no bytes": b"",
    "strings": ["a", "", "ü"],
    "ints": [1, -1, 2**62],
    "doubles": [0.0, 1e300],
    "bools": [True, False],
    "nothing": [],
    "big": "x" * 200_000,
    "": "an empty key",
}


@pytest.mark.parametrize("intern", [True, False], ids=["interned", "carried"])
def test_every_type_of_value_arrives(intern: bool) -> None:
    wanted = Wanted(attributes=VALUES, intern=intern)
    assert (span := one_span(wanted.script())) == wanted.message_like(span)


@pytest.mark.parametrize("intern", [True, False], ids=["interned", "carried"])
def test_events_and_links_keep_their_own_attributes(intern: bool) -> None:
    wanted = Wanted(
        intern=intern,
        attributes={"of the span": 1},
        events=[("exception", 5, {"exception.type": "ValueError", "n": 1}), ("", 6, {}), ("late", 7, VALUES)],
        links=[(b"t" * 16, b"s" * 8, "a=b,c=d", {"why": "batch"}), (b"u" * 16, b"v" * 8, "", {})],
    )
    assert (span := one_span(wanted.script())) == wanted.message_like(span)


def test_span_attribute_that_is_set_after_an_event_stays_the_spans() -> None:
    lines = ["begin 1 @6e - 1", "event @65 2", f"set @{hexed('mine')} i:1", f"last @{hexed('its')} i:2", "end 3"]
    span = one_span(lines)
    assert [one.key for one in span.attributes] == ["mine"]
    assert [one.key for one in span.events[0].attributes] == ["its"]


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_kind_status_and_message_arrive(kind: int) -> None:
    wanted = Wanted(kind=kind, status=2, message="it broke: ü", name="GET /a/{id}")
    assert (span := one_span(wanted.script())) == wanted.message_like(span)


def test_remote_parent_and_tracestate_are_carried() -> None:
    wanted = Wanted(remote=True, tracestate="vendor=1,other=2")
    assert (span := one_span(wanted.script())) == wanted.message_like(span)


def test_root_has_no_parent_and_a_trace_id_that_begins_with_its_second() -> None:
    wanted = Wanted(parent=False)
    span = one_span(wanted.script())
    assert span == wanted.message_like(span)
    assert int.from_bytes(span.trace_id[:4], "big") == wanted.start_ns // 10**9


def test_parent_with_zero_ids_starts_a_new_trace() -> None:
    span = one_span([f"parent {'0' * 32} {'0' * 16} 1 1 -", *Wanted(parent=False).script()])
    assert span.parent_span_id == b"" and any(span.trace_id)


def test_span_never_ends_before_it_began() -> None:
    span = one_span(["begin 1 @6e - 1000", "end 10"])
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1000, 1000)


def test_times_are_taken_from_the_clock_when_none_are_given() -> None:
    span = one_span(["begin 1 @6e - 0", "event @65 0", "end 0"])
    moments = (span.start_time_unix_nano, span.events[0].time_unix_nano, span.end_time_unix_nano)
    assert 1_600_000_000 * 10**9 < moments[0] <= moments[1] + 10**6 and moments[0] <= moments[2]


def test_status_ok_is_final_and_an_error_is_not_taken_back() -> None:
    begin, end = "begin 1 @6e - 1", "end 2"
    span = one_span([begin, f"status 2 {hexed('first')}", f"status 2 {hexed('second, longer')}", "status 0 -", end])
    assert (span.status.code, span.status.message) == (2, "second, longer")
    span = one_span([begin, f"status 2 {hexed('error')}", "status 1 -", f"status 2 {hexed('late')}", end])
    assert (span.status.code, span.status.message) == (1, "")


def test_renaming_replaces_the_name_whether_interned_or_not() -> None:
    for names in (["@61", "62"], ["61", "@62"], ["61616161", "62"], ["@61", "@62"]):
        assert one_span([f"begin 1 {names[0]} - 1", f"name {names[1]}", "end 2"]).name == "b"


@pytest.mark.parametrize("values", [["short", "a much longer value"], [1, "text"], ["abc", "abd"], [[1, 2], 1.5]])
@pytest.mark.parametrize("keys", ["@@", "--", "@-", "-@"])
def test_setting_an_attribute_again_replaces_it(keys: str, values: list[Value]) -> None:
    lines = [f"set {at.strip('-')}{hexed('key')} {word(value)}" for at, value in zip(keys, values, strict=True)]
    span = one_span(["begin 1 @6e - 1", f"set @{hexed('other')} i:7", *lines, "end 2"])
    assert {one.key: one.value for one in span.attributes} == {"other": any_value(7), "key": any_value(values[1])}
    assert span.dropped_attributes_count == 0 and len(span.attributes) == 2


def test_limits_drop_and_count() -> None:
    lines = ["limits 3 2 1 2 1 4", "begin 1 @6e - 1"]
    lines += [f"set @{hexed(f'k{i}')} s:{hexed('abcdef')}" for i in range(5)]
    lines += [f"set @{hexed('k0')} s:{hexed('üüüüü')}"]  # known keys may still change; characters count
    for i in range(3):
        lines += [f"event @65 {i + 1}", *(f"last @{hexed(f'e{j}')} i:{i}" for j in range(4))]
    for _ in range(3):
        lines += [
            f"link {'11' * 16} {'22' * 8} 1 0 -",
            *(f"last @{hexed(f'l{j}')} b:{b'12345'.hex()}" for j in range(3)),
        ]
    span = one_span([*lines, "end 2"])
    assert {one.key: one.value.string_value for one in span.attributes} == {"k0": "üüüü", "k1": "abcd", "k2": "abcd"}
    assert (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) == (2, 1, 2)
    assert [(len(one.attributes), one.dropped_attributes_count) for one in span.events] == [(2, 2), (2, 2)]
    assert [(len(one.attributes), one.dropped_attributes_count) for one in span.links] == [(1, 2)]
    assert span.links[0].attributes[0].value.bytes_value == b"1234"


def test_attribute_larger_than_a_record_is_dropped_and_the_span_stays() -> None:
    span = one_span(
        ["begin 1 @6e - 1", f"set @61 s:{'61' * 300_000}", "set @62 i:1", f"set @61 a:{'i:1,' * 4000}i:1", "end 2"]
    )
    assert [one.key for one in span.attributes] == ["b", "a"] and span.dropped_attributes_count == 1


@pytest.mark.parametrize(
    "raw", [b"\xff", b"abc\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"good \xe4\xb8\x96 bad \xe4\xb8 x"]
)
def test_text_that_is_not_utf8_gets_replacement_characters(raw: bytes) -> None:
    text = raw.hex()
    lines = [
        f"parent {'11' * 16} {'22' * 8} 1 0 {text}",
        f"begin 1 {text} @{text} 1",
        f"set {text} s:{text}",
        f"event {text} 2",
    ]
    lines += [f"last {text} a:s:{text},s:61", f"link {'11' * 16} {'22' * 8} 1 0 {text}", f"status 2 {text}", "end 3"]
    span = one_span(lines)
    assert "\ufffd" in span.name and "\ufffd" in span.attributes[0].key and "\ufffd" in span.status.message
    good = raw.decode(errors="ignore")
    assert span.attributes[0].value.string_value.replace("\ufffd", "") == good


def test_spans_are_grouped_by_scope_in_their_order() -> None:
    wanted = [Wanted(name=f"n{i}", scope=f"pillion.s{i % 3}" + ("\0" + "1.0" if i % 3 else "")) for i in range(30)]
    (batch,) = batches([line for one in wanted for line in one.script()])
    (resource,) = batch.request.resource_spans
    assert resource.resource.attributes[0].value.string_value == "test"
    assert resource.schema_url == "https://opentelemetry.io/schemas/1.44.0"
    assert [(one.scope.name, one.scope.version) for one in resource.scope_spans] == [
        ("pillion.s0", ""),
        ("pillion.s1", "1.0"),
        ("pillion.s2", "1.0"),
    ]
    for index, scope in enumerate(resource.scope_spans):
        assert [span.name for span in scope.spans] == [f"n{i}" for i in range(index, 30, 3)]
        assert scope.schema_url == resource.schema_url


def test_scope_of_the_application_claims_no_schema() -> None:
    (batch,) = batches(Wanted(scope="my.library\0" + "2").script())
    assert batch.request.resource_spans[0].scope_spans[0].schema_url == ""


@pytest.mark.parametrize("capacity", [1500, 5000, 100_000])
def test_byte_limit_splits_batches_and_loses_nothing(capacity: int) -> None:
    rng = random.Random(capacity)
    wanted = [Wanted(name=f"n{i}", attributes={"k": "v" * rng.randrange(900)}, scope=f"s{i % 5}") for i in range(400)]
    found = batches([line for one in wanted for line in one.script()], capacity)
    assert all(0 < len(batch.body) <= capacity and not batch.skipped for batch in found) and len(found) > 1
    spans = {span.name: span for batch in found for span in batch.all_spans()}
    assert sum(batch.spans for batch in found) == len(spans) == 400
    assert all(spans[one.name] == one.message_like(spans[one.name]) for one in wanted)


def test_span_limit_splits_batches() -> None:
    found = batches([line for i in range(5000) for line in ("begin 1 @6e - 1", f"set @6b i:{i}", "end 2")])
    assert [batch.spans for batch in found] == [2048, 2048, 904]


def test_more_scopes_than_a_batch_takes_split_batches() -> None:
    found = batches([line for i in range(150) for line in Wanted(scope=f"scope{i}").script()])
    assert [batch.spans for batch in found] == [64, 64, 22]


def test_span_that_fits_no_batch_is_skipped_and_counted() -> None:
    lines = [*Wanted(name="a").script(), *Wanted(attributes={"k": "x" * 5000}).script(), *Wanted(name="b").script()]
    found = batches(lines, 2000)
    assert sum(batch.skipped for batch in found) == 1
    assert [span.name for batch in found for span in batch.all_spans()] == ["a", "b"]


def _random_value(rng: random.Random) -> Value:
    return rng.choice(
        [
            rng.randrange(-(2**63), 2**63),
            rng.random() * 10 ** rng.randrange(-300, 300),
            rng.random() < 0.5,
            "".join(rng.choice("aé世\N{PILE OF POO} ") for _ in range(rng.randrange(60))),
            rng.randbytes(rng.randrange(40)),
            [rng.randrange(100) for _ in range(rng.randrange(9))],
            ["x" * rng.randrange(200) for _ in range(rng.randrange(5))],
        ]
    )


def _random_attributes(rng: random.Random) -> dict[str, Value]:
    return {f"key.{rng.randrange(1000)}": _random_value(rng) for _ in range(rng.randrange(12))}


@pytest.mark.parametrize("seed", range(8))
def test_random_spans_arrive_as_they_were_made(seed: int) -> None:
    rng = random.Random(seed)
    wanted = [
        Wanted(
            name=f"span {i}",
            kind=rng.randrange(1, 6),
            scope=f"scope{rng.randrange(4)}",
            start_ns=10**18 + rng.randrange(10**9),
            end_ns=10**18 + 10**9 + rng.randrange(10**9),
            intern=rng.random() < 0.7,
            parent=rng.random() < 0.7,
            remote=rng.random() < 0.5,
            attributes=_random_attributes(rng),
            events=[(f"event {j}", 10**18 + j, _random_attributes(rng)) for j in range(rng.choice([0, 0, 3]))],
            links=[
                (rng.randbytes(16), rng.randbytes(8), "", _random_attributes(rng)) for _ in range(rng.choice([0, 0, 2]))
            ],
            status=(status := rng.randrange(3)),
            message="why" if status == 2 else "",
        )
        for i in range(300)
    ]
    spans = {
        span.name: span for batch in batches([x for one in wanted for x in one.script()]) for span in batch.all_spans()
    }
    assert len(spans) == 300
    for one in wanted:
        assert spans[one.name] == one.message_like(spans[one.name])
