# SPDX-License-Identifier: Apache-2.0
"""One trace, whole: its spans in order of start, and the resources they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pillion_collector.query import Reads, attributes_of, kind_of, list_of, object_of, plain, status_of
from pillion_collector.query_containers import ATTRIBUTE, containers_of
from pillion_collector.query_params import BadParameter

SPANS = 200_000  # of one trace in one answer; more is cut and said
_SQL = """
SELECT trace_id, span_id, parent_id, tracestate, flags, name, kind, start_ns, duration_ns, status, status_message,
       service, resource_id, scope_id,
       '{' || array_to_string(list_transform(entries, lambda entry: to_json(entry.key)::VARCHAR || ':' || entry.value),
                              ',') || '}',
       events, links, dropped_attributes, dropped_events, dropped_links
FROM spans WHERE trace_id = ? ORDER BY start_ns, duration_ns DESC LIMIT ?"""


def resolve(store: Reads, text: str) -> bytes | None:
    """The trace whose id is, or uniquely begins with, `text`."""
    text = text.lower()
    if not re.fullmatch(r"[0-9a-f]{4,32}", text):
        raise BadParameter("id", "takes a trace id of 32 hex digits, or at least its first 4")
    if len(text) == 32:
        return bytes.fromhex(text)
    low, high = bytes.fromhex(text.ljust(32, "0")), bytes.fromhex(text.ljust(32, "f"))
    rows = store.query("SELECT DISTINCT trace_id FROM spans WHERE trace_id BETWEEN ? AND ? LIMIT 5", [low, high])
    if len(rows) > 1:
        found = ", ".join(sorted(bytes(row[0]).hex() for row in rows))
        raise BadParameter("id", f"more than one trace begins with {text}: {found}")
    return bytes(rows[0][0]) if rows else None


def trace(store: Reads, trace_id: bytes) -> dict[str, Any] | None:
    """None when nothing of it is stored. Attributes are JSON already: the answer is for orjson.dumps only."""
    rows = store.query(_SQL, [trace_id, SPANS + 1])
    if not rows:
        return None
    cut = len(rows) > SPANS
    # A span that was sent again, because its acknowledgement was lost, is shown once.
    rows = list({(row[1], row[6], row[7]): row for row in rows[:SPANS]}.values())
    resources = _resources(store, {row[12] for row in rows})
    scopes = _scopes(store, {row[13] for row in rows})
    begin = min(row[7] for row in rows)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[11]] = counts.get(row[11], 0) + 1
    return {
        "trace_id": trace_id.hex(),
        "start_ns": str(begin),
        "duration_ns": max(row[7] + row[8] for row in rows) - begin,
        "services": [{"name": name, "spans": spans} for name, spans in counts.items()],
        "spans": [_span(row, resources, scopes) for row in rows],
        "resources": {key: one["attributes"] for key, one in resources.items()},
        "truncated": cut,
    }


def _span(
    row: tuple[Any, ...], resources: dict[str, dict[str, Any]], scopes: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    resource = resources.get(str(row[12]), {})
    return {
        "span_id": bytes(row[1]).hex(),
        "parent_id": bytes(row[2]).hex() if row[2] else None,
        "name": row[5],
        "kind": kind_of(row[6]),
        "service": row[11],
        "instance": resource.get("instance"),
        "pid": resource.get("pid"),
        "start_ns": str(row[7]),
        "duration_ns": row[8],
        "status": status_of(row[9]),
        "status_message": row[10],
        "attributes": object_of(row[14]),
        "events": [_event(one) for one in list_of(row[15])],
        "links": [_link(one) for one in list_of(row[16])],
        "scope": scopes.get(row[13]),
        "tracestate": row[3],
        "flags": row[4],
        "resource_id": str(row[12]),
        "dropped": {"attributes": row[17], "events": row[18], "links": row[19]},
    }


def _event(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "time_ns": str(one.get("time_ns", 0)), "attributes": _inside(one)}


def _link(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "attributes": _inside(one)}


def _inside(one: dict[str, Any]) -> dict[str, Any]:
    attributes = one.get("attributes")
    return {key: plain(value) for key, value in attributes.items()} if isinstance(attributes, dict) else {}


def _resources(store: Reads, ids: Iterable[int]) -> dict[str, dict[str, Any]]:
    rows = _by_id(store, "resource_id, instance, pid, attributes FROM resources", "resource_id", ids)
    silent = [row[1] for row in rows if ATTRIBUTE not in (row[3] or {})]  # not every process sees its own container
    containers = containers_of(store, silent)
    found = {}
    for resource_id, instance, pid, attributes in rows:
        known = {ATTRIBUTE: containers[instance]} if instance in containers else {}
        told = {"instance": instance or None, "pid": pid, "attributes": {**known, **attributes_of(attributes)}}
        found[str(resource_id)] = told
    return found


def _scopes(store: Reads, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    rows = _by_id(store, "scope_id, name, version FROM scopes", "scope_id", ids)
    return {row[0]: {"name": row[1], "version": row[2]} for row in rows}


def _by_id(store: Reads, what: str, key: str, ids: Iterable[int]) -> list[tuple[Any, ...]]:
    wanted = list(ids)
    marks = ", ".join("?" * len(wanted))
    return store.query(f"SELECT DISTINCT ON ({key}) {what} WHERE {key} IN ({marks})", wanted)
