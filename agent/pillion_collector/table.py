# SPDX-License-Identifier: Apache-2.0
"""Tables and units for the terminal. Pure: width and colour are told, text comes out.

Numbers stand right, with a unit and at most three significant digits; text is cut with … so that a row stays one line.
What comes from outside is made harmless: control characters never reach the terminal.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

DASH = "-"
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Column(NamedTuple):
    """`right`: numbers. `shrink`: may be cut when the table is too wide; the larger number first, 0 never."""

    title: str
    right: bool = False
    shrink: int = 0


class Cell(NamedTuple):
    """Text with a style."""

    text: str
    style: str = ""


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], width: int, colour: bool) -> str:
    """A head and one line a row, no wider than `width` where columns may shrink."""
    cells = [[one if isinstance(one, Cell) else Cell(one) for one in row] for row in rows]
    cells = [[Cell(clean(one.text), one.style) for one in row] for row in cells]
    widths = [
        max([len_of(column.title), *(len_of(row[at].text) for row in cells)]) for at, column in enumerate(columns)
    ]
    _fit(columns, widths, width)
    lines = [_line(columns, [Cell(column.title, "bold") for column in columns], widths, colour)]
    lines += [_line(columns, row, widths, colour) for row in cells]
    return "\n".join(lines)


def _fit(columns: Sequence[Column], widths: list[int], width: int) -> None:
    over = sum(widths) + 2 * (len(widths) - 1) - width
    for at in sorted(range(len(columns)), key=lambda one: -columns[one].shrink):
        if over <= 0 or not columns[at].shrink:
            return
        cut = min(over, max(0, widths[at] - max(8, len_of(columns[at].title))))
        widths[at] -= cut
        over -= cut


def _line(columns: Sequence[Column], cells: Sequence[Cell], widths: Sequence[int], colour: bool) -> str:
    parts = []
    for at, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        text = cut(cell.text, widths[at])
        gap = " " * (widths[at] - len_of(text))
        shown = paint(text, cell.style, colour)
        last = at == len(columns) - 1
        parts.append(gap + shown if column.right else shown + ("" if last else gap))
    return "  ".join(parts).rstrip()


def paint(text: str, style: str, colour: bool) -> str:
    if not colour or not style:
        return text
    codes = ";".join(_STYLES[one] for one in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def clean(text: str) -> str:
    """Without control, format and direction characters: foreign text must not drive the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("�" if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") else one for one in text)


def len_of(text: str) -> int:
    """Columns on the screen."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def cut(text: str, width: int) -> str:
    if len_of(text) <= width:
        return text
    kept, used = [], 0
    for one in text:
        used += len_of(one)
        if used > width - 1:
            break
        kept.append(one)
    return "".join(kept) + "…"


def figure(value: float) -> str:
    """At most three significant digits, never an exponent."""
    for digits, limit in ((2, 9.995), (1, 99.95), (0, float("inf"))):
        if abs(value) < limit:
            text = f"{value:.{digits}f}"
            return text.rstrip("0").rstrip(".") if digits else text
    return str(value)


def duration(ns: float | None) -> str:
    """1.25 ms, 12 s, 3 h 20 m."""
    if ns is None:
        return DASH
    for unit, size, limit in (("ns", 1, 999.5), ("µs", 1e3, 999.5e3), ("ms", 1e6, 999.5e6), ("s", 1e9, 59.95e9)):
        if ns < limit:
            return f"{figure(ns / size)} {unit}"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    pairs = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    while not pairs[0][0]:
        pairs.pop(0)
    return " ".join(f"{number} {unit}" for number, unit in pairs[:2] if number)


def size(number: float | None) -> str:
    """12.3 MB, powers of ten as everywhere in pillion."""
    if number is None:
        return DASH
    for unit, factor in (("B", 1), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if number < 999.5 * factor:
            return f"{figure(number / factor)} {unit}"
    return f"{figure(number / 1e12)} TB"


def count(number: float | None) -> str:
    """1,234,567: counts are exact."""
    return DASH if number is None else f"{int(number):,}"


def rate(number: float | None) -> str:
    return DASH if number is None else f"{figure(number)}/s"


def share(number: float | None) -> str:
    """A fraction as per cent."""
    if number is None:
        return DASH
    return "<0.01 %" if 0 < number < 0.0001 else f"{figure(number * 100)} %"


def ago(time_ns: int | None, now_ns: int) -> str:
    return DASH if time_ns is None else f"{duration(max(0, now_ns - time_ns) // 10**9 * 10**9 or 1e9)} ago"


def clock(time_ns: int | None) -> str:
    """The reader's local time of day."""
    if time_ns is None:
        return DASH
    local = time.localtime(time_ns / 1e9)
    return f"{time.strftime('%H:%M:%S', local)}.{time_ns % 10**9 // 10**6:03}"
