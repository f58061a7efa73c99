# SPDX-License-Identifier: Apache-2.0
"""The oracle of the decoder's tests: the rows that a message must become, made from what protobuf itself reads.

Values are Python values in the store's typed form: 5 and 5.0 and "5" and {"bytes": …} stay apart.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]


def value(any_value: Any) -> Any:
    """An AnyValue as what its JSON text reads back as."""
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(any_value, kind)
    if kind == "bytes_value":
        return {"bytes": base64.b64encode(inner).decode()}
    if kind == "array_value":
        return [value(each) for each in inner.values]
    if kind == "kvlist_value":
        return {"kvlist": attributes(inner.values)}
    if kind == "double_value" and not math.isfinite(inner):
        return {"double": "NaN" if math.isnan(inner) else "Infinity" if inner > 0 else "-Infinity"}
    return inner


def attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: value(pair.value) for pair in pairs}


def number(real: float) -> Any:
    return real if math.isfinite(real) else {"double": "NaN" if math.isnan(real) else str(real)}


def without(row: Row, *empty: Any) -> Row:
    """Drops keys whose value says nothing."""
    return {key: each for key, each in row.items() if each not in empty and each is not None}


def event(message: Any) -> Row:
    row = {"time_ns": message.time_unix_nano, "name": message.name}
    dropped = message.dropped_attributes_count
    return row | without({"attributes": attributes(message.attributes), "dropped_attributes": dropped}, {}, 0)


def link(message: Any) -> Row:
    row = {"trace_id": message.trace_id.hex(), "span_id": message.span_id.hex()}
    more = {
        "tracestate": message.trace_state,
        "flags": message.flags,
        "attributes": attributes(message.attributes),
        "dropped_attributes": message.dropped_attributes_count,
    }
    return row | without(more, {}, 0, "")


def span(message: Any) -> Row:
    """One Span as its row; service, resource_id and scope_id are its owners' part."""
    return {
        "trace_id": message.trace_id,
        "span_id": message.span_id,
        "parent_id": message.parent_span_id or None,
        "tracestate": message.trace_state,
        "flags": message.flags,
        "name": message.name,
        "kind": message.kind,
        "start_ns": message.start_time_unix_nano,
        "duration_ns": message.end_time_unix_nano - message.start_time_unix_nano,
        "status": message.status.code,
        "status_message": message.status.message,
        "attributes": attributes(message.attributes),
        "events": [event(each) for each in message.events] or None,
        "links": [link(each) for each in message.links] or None,
        "dropped_attributes": message.dropped_attributes_count,
        "dropped_events": message.dropped_events_count,
        "dropped_links": message.dropped_links_count,
    }


def resource(message: Any, schema_url: str) -> Row:
    read = attributes(message.attributes)
    return {
        "service": read.get("service.name", "unknown_service"),
        "instance": read.get("service.instance.id", ""),
        "pid": read.get("process.pid"),
        "attributes": read,
        "schema_url": schema_url,
        "dropped": message.dropped_attributes_count,
    }


def scope(message: Any, schema_url: str) -> Row:
    return {
        "name": message.name,
        "version": message.version,
        "attributes": attributes(message.attributes),
        "schema_url": schema_url,
        "dropped": message.dropped_attributes_count,
    }


def exemplar(message: Any) -> Row:
    read = message.as_double if message.WhichOneof("value") == "as_double" else message.as_int
    row = {"time_ns": message.time_unix_nano, "value": read}
    ids = {"trace_id": message.trace_id.hex(), "span_id": message.span_id.hex()}
    return row | without({**ids, "attributes": attributes(message.filtered_attributes)}, "", {})


def detail(kind: str, point: Any) -> Row | None:
    found: Row = {}
    if kind == "histogram":
        found = {"bounds": [number(each) for each in point.explicit_bounds], "buckets": list(point.bucket_counts)}
    elif kind == "exponential_histogram":
        found = {"scale": point.scale, "zero_count": point.zero_count, "zero_threshold": point.zero_threshold}
        for side in ("positive", "negative"):
            buckets = getattr(point, side)
            found[side] = {"offset": buckets.offset, "buckets": list(buckets.bucket_counts)}
    elif kind == "summary" and point.quantile_values:
        found = {"quantiles": [{"quantile": q.quantile, "value": q.value} for q in point.quantile_values]}
    if kind != "summary" and point.exemplars:
        found["exemplars"] = [exemplar(each) for each in point.exemplars]
    return found or None


KINDS = {"gauge": 1, "sum": 2, "histogram": 3, "exponential_histogram": 4, "summary": 5}


def points(metric: Any) -> Iterable[Row]:
    """The rows of one Metric."""
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    for point in data.data_points:
        one_of = point.WhichOneof("value") if kind in ("gauge", "sum") else None
        yield {
            "time_ns": point.time_unix_nano,
            "start_ns": point.start_time_unix_nano,
            "name": metric.name,
            "description": metric.description,
            "unit": metric.unit,
            "kind": KINDS[kind],
            "temporality": getattr(data, "aggregation_temporality", 0),
            "monotonic": kind == "sum" and data.is_monotonic,
            "attributes": attributes(point.attributes),
            "flags": point.flags,
            "value_double": point.as_double if one_of == "as_double" else None,
            "value_int": point.as_int if one_of == "as_int" else None,
            "count": getattr(point, "count", None),
            "sum": point.sum if kind == "summary" or (hasattr(point, "sum") and point.HasField("sum")) else None,
            "min": point.min if hasattr(point, "min") and point.HasField("min") else None,
            "max": point.max if hasattr(point, "max") and point.HasField("max") else None,
            "detail": detail(kind, point),
        }


def log(message: Any) -> Row:
    return {
        "time_ns": message.time_unix_nano,
        "observed_ns": message.observed_time_unix_nano,
        "severity": message.severity_number,
        "severity_text": message.severity_text,
        "body": value(message.body) if message.HasField("body") else None,
        "event_name": message.event_name,
        "trace_id": message.trace_id or None,
        "span_id": message.span_id or None,
        "flags": message.flags,
        "attributes": attributes(message.attributes),
        "dropped": message.dropped_attributes_count,
    }


def typed(row: Row) -> Row:
    """A row as DuckDB gives it, its JSON texts read."""
    read = dict(row)
    if "entries" in read:
        read["attributes"] = {entry["key"]: entry["value"] for entry in read.pop("entries")}
    read["attributes"] = {key: json.loads(text) for key, text in read["attributes"].items()}
    for name in ("events", "links", "detail", "body"):
        if read.get(name) is not None:
            read[name] = json.loads(read[name])
    return read
