# SPDX-License-Identifier: Apache-2.0
"""Parameters of the JSON API: text in, typed values out, or `BadParameter` that names the parameter and what it takes.

Pure: the clock comes in as an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HOUR_NS = 3600 * 10**9
_UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": HOUR_NS, "d": 24 * HOUR_NS}
_LARGEST = 2**63 - 1
TEXT = 1000  # characters of a search text, a name, a value


class BadParameter(Exception):
    """Answered with 400."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True)
class Window:
    """From (included) to (excluded), nanoseconds since the epoch."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.begin_ns) / 1e9


@dataclass(frozen=True)
class Search:
    """What /api/traces is asked."""

    window: Window
    service: str | None
    operation: str | None
    status: str | None
    min_ns: int | None
    max_ns: int | None
    attributes: tuple[tuple[str, str], ...]
    text: str | None
    limit: int
    order: str


def check_names(given: Iterable[str], known: Iterable[str]) -> None:
    """A misspelt filter that is silently ignored shows wrong data: refuse it."""
    allowed = set(known)
    for name in given:
        if name not in allowed:
            raise BadParameter(name, f"unknown parameter; known are {', '.join(sorted(allowed))}")


def window(query: Mapping[str, str], now_ns: int) -> Window:
    """`from` and `to`; the last hour when nothing is said."""
    end = moment("to", query.get("to"), now_ns, now_ns)
    begin = moment("from", query.get("from"), now_ns, max(0, end - HOUR_NS))
    if begin >= end:
        raise BadParameter("from", "must lie before `to`")
    return Window(begin, end)


def moment(name: str, text: str | None, now_ns: int, default: int) -> int:
    """Nanoseconds since the epoch, or relative to now as -15m."""
    if not text:
        return default
    if text == "now":
        return now_ns
    if re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= _LARGEST:
        return int(text)
    match = re.fullmatch(r"-([0-9]{1,9})([smhd])", text)
    if match is None:
        raise BadParameter(name, "takes nanoseconds since the epoch, or a time ago such as -15m, -6h, -2d")
    return max(0, now_ns - int(match[1]) * _UNITS_NS[match[2]])


def search(query: Mapping[str, str], attributes: Iterable[str], now_ns: int) -> Search:
    return Search(
        window=window(query, now_ns),
        service=text(query, "service"),
        operation=text(query, "operation"),
        status=choice(query, "status", ("error", "ok")),
        min_ns=whole(query, "min_ns", 0, _LARGEST),
        max_ns=whole(query, "max_ns", 0, _LARGEST),
        attributes=tuple(attribute(one) for one in attributes),
        text=text(query, "q"),
        limit=whole(query, "limit", 1, 1000) or 100,
        order=choice(query, "order", ("newest", "slowest")) or "newest",
    )


def attribute(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals or len(text) > TEXT:
        raise BadParameter("attribute", "takes key=value")
    return key, value


def text(query: Mapping[str, str], name: str) -> str | None:
    value = query.get(name)
    if value and len(value) > TEXT:
        raise BadParameter(name, f"at most {TEXT} characters")
    return value or None


def choice(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    value = query.get(name)
    if value and value not in known:
        raise BadParameter(name, f"takes one of {', '.join(known)}")
    return value or None


def whole(query: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    value = query.get(name)
    if not value:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", value) or not low <= int(value) <= high:
        raise BadParameter(name, f"takes a whole number from {low} to {high}")
    return int(value)
