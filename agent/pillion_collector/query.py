# SPDX-License-Identifier: Apache-2.0
"""Shared by the queries: who answers SQL, and how stored values become JSON.

A stored attribute value is the JSON text of a typed value (see the store); the API shows the plain value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("unset", "ok", "error")


class Reads(Protocol):
    """What a query needs of the store."""

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]: ...


def plain(value: Any) -> Any:
    """Unwraps {"kvlist": …} and {"double": "NaN"}; {"bytes": base64} stays, for JSON has no bytes."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((tag, inner),) = value.items()
            if tag == "kvlist" and isinstance(inner, dict):
                return {key: plain(one) for key, one in inner.items()}
            if tag == "double":
                return inner
        return value
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def value_of(text: str | None) -> Any:
    """The plain value of one stored value. What is no JSON is shown as it lies there."""
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except ValueError:
        return text
    return plain(value) if isinstance(value, (dict, list)) else value


def attributes_of(stored: dict[str, str] | None) -> dict[str, Any]:
    return {key: value_of(text) for key, text in stored.items()} if stored else {}


def object_of(text: str | None) -> Any:
    """The JSON text of an object of stored values, as it is where nothing in it needs unwrapping."""
    if not text:
        return {}
    if '{"kvlist":' in text or '{"double":' in text:
        return {key: plain(value) for key, value in orjson.loads(text).items()}
    return orjson.Fragment(text)


def list_of(text: str | None) -> list[dict[str, Any]]:
    """Events or links."""
    found = value_of(text)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def kind_of(number: int) -> str:
    return KINDS[number] if 0 <= number < len(KINDS) else str(number)


def status_of(number: int) -> str:
    return STATUSES[number] if 0 <= number < len(STATUSES) else str(number)
