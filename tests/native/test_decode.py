# SPDX-License-Identifier: Apache-2.0
"""The decoder against what real exporters send: whatever OpenTelemetry's SDK encodes reads back equal, field by field.

The oracle is protobuf's own reading of the same bytes (otlp_rows.py).
"""

from __future__ import annotations

import json
import math
import random
from typing import Any

import duckdb
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pillion_collector.decode import DecodeError, Decoder

from tests.native import otlp_exports, otlp_rows

Row = dict[str, Any]
TRACE_ID, SPAN_ID = bytes(range(1, 17)), bytes(range(1, 9))
DEEPEST = 32  # JSON_DEPTH


def rows(table: Any) -> list[Row]:
    """The table as DuckDB reads it, JSON texts read."""
    connection = duckdb.connect(":memory:")
    try:
        connection.register("arriving", table)
        found = connection.execute("SELECT * FROM arriving")
        names = [column[0] for column in found.description]
        return [otlp_rows.typed(dict(zip(names, row, strict=True))) for row in found.fetchall()]
    finally:
        connection.unregister("arriving")
        connection.close()


def without_owners(row: Row) -> Row:
    return {name: each for name, each in row.items() if name not in ("service", "resource_id", "scope_id")}


def one_span(**fields: Any) -> ExportTraceServiceRequest:
    """A request of one span that is valid but for what `fields` says."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    valid = {"trace_id": TRACE_ID, "span_id": SPAN_ID, "start_time_unix_nano": 10, "end_time_unix_nano": 30}
    scope.spans.append(Span(**(valid | fields)))
    return request


def decoded(kind: str, *bodies: bytes) -> Decoder:
    decoder = Decoder(kind)
    for body in bodies:
        decoder.append(body)
    return decoder


def test_spans_of_the_sdk_read_back_equal_in_every_field() -> None:
    request = otlp_exports.traces()
    decoder = Decoder("traces")
    expected = []
    for owner in request.resource_spans:
        for scope in owner.scope_spans:
            expected += [otlp_rows.span(each) for each in scope.spans]
    assert decoder.append(request.SerializeToString()) == (len(expected), 0, "")
    assert len(expected) >= 4
    assert [without_owners(row) for row in rows(decoder.items)] == expected


def test_resources_and_scopes_of_the_sdk_read_back_equal_and_belong_to_their_spans() -> None:
    request = otlp_exports.traces()
    decoder = decoded("traces", request.SerializeToString())
    resources = {row.pop("resource_id"): row for row in rows(decoder.resources)}
    scopes = {row.pop("scope_id"): row for row in rows(decoder.scopes)}
    found = iter(rows(decoder.items))
    for owner in request.resource_spans:
        resource = otlp_rows.resource(owner.resource, owner.schema_url)
        for part in owner.scope_spans:
            for _ in part.spans:
                row = next(found)
                assert resources[row["resource_id"]] == resource
                assert scopes[row["scope_id"]] == otlp_rows.scope(part.scope, part.schema_url)
                assert row["service"] == resource["service"]
    assert len(scopes) == 2


def test_metrics_of_every_kind_read_back_equal() -> None:
    request = otlp_exports.metrics()
    decoder = decoded("metrics", request.SerializeToString())
    metrics = [each for owner in request.resource_metrics for scope in owner.scope_metrics for each in scope.metrics]
    expected = [row for metric in metrics for row in otlp_rows.points(metric)]
    assert {row["kind"] for row in expected} == set(otlp_rows.KINDS.values())
    assert [without_owners(row) for row in rows(decoder.items)] == expected


def test_logs_read_back_equal() -> None:
    request = otlp_exports.logs()
    decoder = decoded("logs", request.SerializeToString())
    records = [each for owner in request.resource_logs for scope in owner.scope_logs for each in scope.log_records]
    expected = [otlp_rows.log(each) for each in records]
    assert len(expected) >= 3
    assert [without_owners(row) for row in rows(decoder.items)] == expected


def test_the_type_of_a_value_is_kept_in_its_text() -> None:
    values = {
        "text": ({"string_value": "5"}, '"5"'),
        "int": ({"int_value": 5}, "5"),
        "lowest": ({"int_value": -(2**63)}, "-9223372036854775808"),
        "double": ({"double_value": 5.0}, "5.0"),
        "large": ({"double_value": 1e300}, "1e+300"),
        "minus zero": ({"double_value": -0.0}, "-0.0"),
        "tenth": ({"double_value": 0.1}, "0.1"),
        "nan": ({"double_value": math.nan}, '{"double":"NaN"}'),
        "infinite": ({"double_value": -math.inf}, '{"double":"-Infinity"}'),
        "yes": ({"bool_value": True}, "true"),
        "bytes": ({"bytes_value": b"\0\xff"}, '{"bytes":"AP8="}'),
        "escapes": ({"string_value": 'a"\\\n\x01\x7f€😀'}, '"a\\"\\\\\\u000a\\u0001\x7f€😀"'),
        "none": ({}, "null"),
    }
    attributes = [{"key": key, "value": value} for key, (value, _) in values.items()]
    decoder = decoded("traces", one_span(attributes=attributes).SerializeToString())
    connection = duckdb.connect(":memory:")
    connection.register("arriving", decoder.items)
    (entries,) = connection.execute("SELECT entries FROM arriving").fetchall()[0]
    connection.close()
    assert {entry["key"]: entry["value"] for entry in entries} == {key: text for key, (_, text) in values.items()}


def test_random_doubles_read_back_bit_by_bit() -> None:
    dice = random.Random(7)
    doubles = [dice.uniform(-1e6, 1e6) for _ in range(200)] + [
        dice.random() * 10.0 ** dice.randint(-320, 308) for _ in range(200)
    ]
    attributes = [{"key": str(i), "value": {"double_value": each}} for i, each in enumerate(doubles)]
    (row,) = rows(decoded("traces", one_span(attributes=attributes).SerializeToString()).items)
    assert [row["attributes"][str(i)] for i in range(len(doubles))] == doubles


def test_invalid_utf8_becomes_replacement_characters_as_in_python() -> None:
    samples = [
        b"\xff",
        b"a\xc3",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98",
        b"\xc0\xaf",
        b"ok\xf5x",
        b"\xf4\x90\x80\x80",
    ]
    for sample in samples:
        body = one_span(name="~" * len(sample)).SerializeToString().replace(b"~" * len(sample), sample)
        (row,) = rows(decoded("traces", body).items)
        assert row["name"] == sample.decode("utf-8", "replace"), sample


def test_of_equal_keys_the_last_wins_even_when_repair_made_them_equal() -> None:
    pairs = [("a", 1), ("b", 2), ("a", 3), ("~~", 4), ("!!", 5)]
    attributes = [{"key": key, "value": {"int_value": number}} for key, number in pairs]
    body = one_span(attributes=attributes).SerializeToString().replace(b"~~", b"\xff\xfe").replace(b"!!", b"\xfe\xff")
    (row,) = rows(decoded("traces", body).items)
    assert row["attributes"] == {"a": 3, "b": 2, "\ufffd\ufffd": 5}


@pytest.mark.parametrize("number", [10, 17, 300, 4096])
def test_many_attributes_are_kept_and_made_unique(number: int) -> None:
    attributes = [{"key": f"k{i % (number - 5)}", "value": {"int_value": i}} for i in range(number)]
    (row,) = rows(decoded("traces", one_span(attributes=attributes).SerializeToString()).items)
    assert row["attributes"] == {f"k{i % (number - 5)}": i for i in range(number)}
    assert row["dropped_attributes"] == 0


def test_attributes_beyond_4096_are_dropped_and_counted() -> None:
    attributes = [{"key": str(i), "value": {"int_value": i}} for i in range(5000)]
    request = one_span(attributes=attributes, dropped_attributes_count=7)
    (row,) = rows(decoded("traces", request.SerializeToString()).items)
    assert len(row["attributes"]) == 4096
    assert row["dropped_attributes"] == 904 + 7


def nested(depth: int) -> Any:
    """An AnyValue in which lists and arrays take turns, `depth` deep."""
    request = one_span(
        attributes=[{"key": "deep", "value": {"int_value": 1}}, {"key": "flat", "value": {"int_value": 2}}]
    )
    value = request.resource_spans[0].scope_spans[0].spans[0].attributes[0].value
    for level in range(depth):
        if level % 2:
            value = value.array_value.values.add()
        else:
            pair = value.kvlist_value.values.add()
            pair.key = "k"
            value = pair.value
    value.string_value = "core"
    return request


def test_a_value_that_is_nested_too_deep_is_dropped_and_counted() -> None:
    (fits,) = rows(decoded("traces", nested(DEEPEST).SerializeToString()).items)
    (over,) = rows(decoded("traces", nested(DEEPEST + 1).SerializeToString()).items)
    assert "core" in json.dumps(fits["attributes"]["deep"]) and fits["dropped_attributes"] == 0
    assert over["attributes"] == {"flat": 2} and over["dropped_attributes"] == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b""}, "id"),
        ({"trace_id": TRACE_ID[:15]}, "id"),
        ({"trace_id": bytes(16)}, "id"),
        ({"span_id": SPAN_ID + b"x"}, "id"),
        ({"span_id": bytes(8)}, "id"),
        ({"parent_span_id": b"1234"}, "id"),
        ({"start_time_unix_nano": 2**63}, "time"),
        ({"end_time_unix_nano": 2**64 - 1}, "time"),
    ],
)
def test_a_span_that_makes_no_sense_is_left_out_and_counted(fields: Row, reason: str) -> None:
    request = one_span(**fields)
    request.resource_spans[0].scope_spans[0].spans.append(one_span().resource_spans[0].scope_spans[0].spans[0])
    decoder = Decoder("traces")
    accepted, rejected, message = decoder.append(request.SerializeToString())
    assert (accepted, rejected) == (1, 1)
    assert reason in message
    assert len(decoder.items) == 1


def test_a_link_to_nothing_is_left_out_of_its_span_and_counted() -> None:
    good = {"trace_id": TRACE_ID, "span_id": SPAN_ID}
    for links in ([{}, good, {"trace_id": b"x"}], [good, {}], [{}, good], [{}, {}]):
        (row,) = rows(decoded("traces", one_span(links=links).SerializeToString()).items)
        kept = links.count(good)
        assert len(row["links"] or []) == kept
        assert row["dropped_links"] == len(links) - kept


def test_an_end_before_the_start_is_a_duration_of_zero() -> None:
    (row,) = rows(decoded("traces", one_span(start_time_unix_nano=50, end_time_unix_nano=20).SerializeToString()).items)
    assert (row["start_ns"], row["duration_ns"]) == (50, 0)


def test_ids_are_the_same_in_every_decoder_and_differ_by_content() -> None:
    request = otlp_exports.traces()
    first, second = (decoded("traces", request.SerializeToString()) for _ in range(2))
    assert rows(first.items) == rows(second.items)
    request.resource_spans[0].schema_url += "/other"
    third = decoded("traces", request.SerializeToString())
    assert not {row["resource_id"] for row in rows(first.resources)} & {
        row["resource_id"] for row in rows(third.resources)
    }


def test_one_resource_in_many_requests_is_one_row() -> None:
    body = otlp_exports.traces().SerializeToString()
    decoder = decoded("traces", body, body, body)
    assert len(decoder.resources) == 1
    assert len(decoder.scopes) == 2


REQUESTS = {"traces": otlp_exports.traces, "metrics": otlp_exports.metrics, "logs": otlp_exports.logs}
MESSAGES = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_that_is_cut_anywhere_is_refused_whole(kind: str) -> None:
    body = REQUESTS[kind]().SerializeToString()
    whole = decoded(kind, body)
    before = (len(whole.items), len(whole.resources), len(whole.scopes))
    for cut in range(1, len(body)):
        with pytest.raises(DecodeError):
            whole.append(body[:cut])
    assert (len(whole.items), len(whole.resources), len(whole.scopes)) == before


@pytest.mark.parametrize("kind", REQUESTS)
def test_damaged_requests_never_do_harm(kind: str) -> None:
    dice = random.Random(kind)
    body = REQUESTS[kind]().SerializeToString()
    decoder = Decoder(kind)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(body)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            decoder.append(bytes(damaged))
        except DecodeError:
            refused += 1
    assert refused > 0
    assert rows(decoder.items) is not None  # still readable, all text valid


@pytest.mark.parametrize("kind", REQUESTS)
def test_each_kind_reads_the_others_without_harm(kind: str) -> None:
    for other in REQUESTS.values():
        try:
            decoded(kind, other().SerializeToString())
        except DecodeError as error:
            assert "malformed" in str(error)


def test_a_small_request_cannot_take_much_memory() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.description = "x" * 100_000
    for _ in range(1000):
        metric.gauge.data_points.add()
    with pytest.raises(DecodeError, match="memory"):
        decoded("metrics", request.SerializeToString())


def test_a_table_that_is_being_read_can_not_be_cleared() -> None:
    decoder = decoded("traces", one_span().SerializeToString())
    capsule = decoder.items.__arrow_c_stream__()
    with pytest.raises(BufferError):
        decoder.clear()
    del capsule
    decoder.clear()
    assert len(decoder.items) == 0
