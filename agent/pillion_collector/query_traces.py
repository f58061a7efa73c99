# SPDX-License-Identifier: Apache-2.0
"""Search for traces in two steps: which match (newest slices first: the usual question reads little), then their sums.

Service, operation, attributes and text must hold together on one span of the trace; status and duration are the
trace's. Values are never put into SQL text.
"""

from __future__ import annotations

from typing import Any

import orjson

from pillion_collector.query import Reads
from pillion_collector.query_params import HOUR_NS, Search, Window

_SLICES = (64, 8, 1)  # parts of the window, from its end, that are looked at in turn
_SUMS = """
SELECT trace_id, min(start_ns), max(start_ns + duration_ns), count(*), count(*) FILTER (status = 2), histogram(service),
       arg_min((name, service), (CASE WHEN parent_id IS NULL THEN 0 ELSE 1 END, start_ns))
FROM spans WHERE start_ns >= ? AND start_ns < ? AND trace_id IN (SELECT unnest(?)) GROUP BY trace_id"""


# On spans the list of entries, not the map: a map is made anew for each row that is looked at, forty times as slow.
_TEXT = """(contains(lower(concat_ws(chr(10), name, service, status_message)), ?)
 OR len(list_filter(entries, lambda entry: contains(lower(entry.value), ?) OR contains(lower(entry.key), ?))) > 0
 OR contains(lower(events), ?) OR starts_with(lower(hex(trace_id)), ?))"""
_ATTRIBUTE = """(list_contains(?, attribute(entries, ?))
 OR resource_id IN (SELECT resource_id FROM resources WHERE list_contains(?, attributes[?])))"""


def traces(store: Reads, search: Search) -> dict[str, Any]:
    """At most `limit` traces, and whether there were more."""
    found = _newest(store, search) if search.order == "newest" else _slowest(store, search)
    return {"traces": [_row(row) for row in found[: search.limit]], "truncated": len(found) > search.limit}


def _newest(store: Reads, search: Search) -> list[tuple[Any, ...]]:
    window = search.window
    found: list[tuple[Any, ...]] = []
    for part in _SLICES:
        begin = window.end_ns - (window.end_ns - window.begin_ns) // part
        found = _matching(store, search, Window(begin, window.end_ns))
        if len(found) > search.limit:
            break
    return found


def _slowest(store: Reads, search: Search) -> list[tuple[Any, ...]]:
    return _matching(store, search, search.window)


def _matching(store: Reads, search: Search, window: Window) -> list[tuple[Any, ...]]:
    """Newest or slowest first, one more than asked for. Without conditions on the trace the ids are cut early."""
    where, params = _conditions(search, window)
    whole = (
        search.status is not None or search.min_ns is not None or search.max_ns is not None or search.order == "slowest"
    )
    cut = "" if whole else f" ORDER BY min(start_ns) DESC LIMIT {search.limit + 1}"
    ids = f"SELECT trace_id FROM spans WHERE {where} GROUP BY trace_id{cut}"
    having, more = _trace_conditions(search)
    order = "till - begin DESC, begin DESC" if search.order == "slowest" else "begin DESC"
    sql = f"""
WITH ids AS ({ids}), sums AS (
  SELECT trace_id, min(start_ns) AS begin, max(start_ns + duration_ns) AS till, count(*) AS spans,
         count(*) FILTER (status = 2) AS errors
  FROM spans SEMI JOIN ids USING (trace_id) WHERE start_ns >= ? AND start_ns < ? GROUP BY trace_id)
SELECT trace_id FROM sums WHERE {having} ORDER BY {order} LIMIT {search.limit + 1}"""
    wide = [window.begin_ns - HOUR_NS, window.end_ns + HOUR_NS]
    picked = [bytes(row[0]) for row in store.query(sql, [*params, *wide, *more])]
    if not picked:
        return []
    rows = {bytes(row[0]): row for row in store.query(_SUMS, [*wide, picked])}
    return [rows[one] for one in picked if one in rows]


def _conditions(search: Search, window: Window) -> tuple[str, list[Any]]:
    parts, params = ["start_ns >= ? AND start_ns < ?"], [window.begin_ns, window.end_ns]
    values: list[Any] = list(params)
    for column, value in (("service", search.service), ("name", search.operation)):
        if value is not None:
            parts.append(f"{column} = ?")
            values.append(value)
    for key, value in search.attributes:
        parts.append(_ATTRIBUTE)
        forms = _forms(value)
        values += [forms, key, forms, key]
    if search.text is not None:
        parts.append(_TEXT)
        text = search.text.lower()
        inside = orjson.dumps(text).decode()[1:-1]  # as it stands in stored values
        values += [text, inside, text, inside, text]
    return " AND ".join(parts), values


def _trace_conditions(search: Search) -> tuple[str, list[Any]]:
    parts, values = ["true"], []
    if search.status is not None:
        parts.append("errors > 0" if search.status == "error" else "errors = 0")
    for comparison, bound in ((">=", search.min_ns), ("<=", search.max_ns)):
        if bound is not None:
            parts.append(f"till - begin {comparison} ?")
            values.append(bound)
    return " AND ".join(parts), values


def _forms(value: str) -> list[str]:
    """How the value may be stored: as a string, or as the number or truth it reads as."""
    forms = [orjson.dumps(value).decode()]
    try:
        parsed = orjson.loads(value)
    except ValueError:
        return forms
    if isinstance(parsed, bool) or parsed is None:
        forms.append(value)
    elif isinstance(parsed, (int, float)):
        forms += [value, orjson.dumps(float(parsed)).decode()]
    return forms


def _row(row: tuple[Any, ...]) -> dict[str, Any]:
    trace_id, begin, till, spans, errors, services, root = row
    name, service = (root["name"], root["service"]) if isinstance(root, dict) else root
    return {
        "trace_id": bytes(trace_id).hex(),
        "root_name": name,
        "root_service": service,
        "start_ns": str(begin),
        "duration_ns": till - begin,
        "spans": spans,
        "errors": errors,
        "services": [{"name": one, "spans": many} for one, many in sorted(services.items(), key=lambda item: -item[1])],
        "status": "error" if errors else "ok",
    }
