# SPDX-License-Identifier: Apache-2.0
"""postgres: what the hooks of psycopg and psycopg2 share: a query's text whatever it was given as, and where it goes.

Runs in the application's thread before each query. Nothing here runs code of the application: text that is composed of
objects is put together from their fields, with `?` for each value.
"""

from __future__ import annotations

from _weakref import ref

from pillion.db import describe_query, is_given, with_batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from pillion.db import Described, Place
    from pillion.patch import Call

CONNECTIONS = 256
READ = 32768  # of a query in bytes; nobody looks further
DEPTH = 20  # of composed queries
_places: dict[int, tuple[ref[Any], Place]] = {}  # by the connection's id, as long as that is the same connection


def text_of(query: object, depth: int = DEPTH) -> str | None:
    """The query's text: of a str, of bytes, of psycopg's and psycopg2's `sql` objects, of a template string."""
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query[:READ].decode("utf-8", "replace")
    kind, held = type(query).__name__, getattr(query, "_obj", None)
    if held is None:
        held = getattr(query, "_wrapped", None)
    if kind == "SQL" and isinstance(held, str):
        return held
    if kind == "Identifier" and isinstance(held, tuple):
        return ".".join(f'"{part}"' for part in held)
    if kind == "Composed" and isinstance(held, list) and depth:
        return "".join(text_of(part, depth - 1) or "?" for part in held)
    if kind == "Template" and isinstance(getattr(query, "strings", None), tuple):
        return "?".join(query.strings)  # type: ignore[attr-defined]
    return {"Placeholder": "%s", "Literal": "?"}.get(kind)


def place_of(connection: Any) -> Place:
    """Host, port and database, as the driver knows them; asked of each connection once."""
    kept = _places.get(id(connection))
    if kept is not None and kept[0]() is connection:
        return kept[1]
    try:
        info = connection.info
        place = info.host, info.port, info.dbname
        known = ref(connection)
    except Exception:  # closed, or another's class
        return None
    if len(_places) >= CONNECTIONS:
        _places.clear()
    _places[id(connection)] = known, place
    return place


def queries(at: int, name: str, parameters: tuple[int, str] | None = None) -> Callable[[Call], Described]:
    """A hook's describe: where in the call the query is, and what is passed beside it."""

    def describe(call: Call) -> Described:
        given = parameters is not None and is_given(call.get(*parameters))
        return _describe(call, call.get(at, name), given)

    return describe


def batches(at: int, name: str, parameters: tuple[int, str]) -> Callable[[Call], Described]:
    """The same of a query with many sets of parameters."""

    def describe(call: Call) -> Described:
        return with_batch(_describe(call, call.get(at, name), True), call.get(*parameters))

    return describe


def _describe(call: Call, query: object, parameterised: bool) -> Described:
    return describe_query("postgresql", text_of(query), parameterised, place_of(call.get(0, "self").connection))


def failed(call: Call, error: BaseException) -> dict[str, object] | None:
    """The server's SQLSTATE; none where it was the client that failed."""
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return {"db.response.status_code": code} if isinstance(code, str) else None
