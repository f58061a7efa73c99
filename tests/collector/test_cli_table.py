# SPDX-License-Identifier: Apache-2.0
"""Tables, units and the tree of the terminal: pure functions, compared as text."""

from __future__ import annotations

from typing import Any

import pytest
from pillion_collector import table
from pillion_collector.cli import Screen
from pillion_collector.cli_tree import tree
from pillion_collector.table import Cell, Column

SECOND = 10**9


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"), (999, "999 ns"), (1000, "1 µs"), (1249, "1.25 µs"), (12_345, "12.3 µs"), (999_499, "999 µs"),
        (999_600, "1 ms"), (1_500_000, "1.5 ms"), (SECOND, "1 s"), (59 * SECOND, "59 s"), (60 * SECOND, "1 m"),
        (61 * SECOND, "1 m 1 s"), (3600 * SECOND, "1 h"), (90_000 * SECOND, "1 d 1 h"), (None, "-"),
    ],
)  # fmt: skip
def test_durations_have_a_unit_and_at_most_three_digits(ns: int | None, text: str) -> None:
    assert table.duration(ns) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12_345_678, "12.3 MB"),
        (999_600_000, "1 GB"),
        (3e12, "3 TB"),
        (None, "-"),
    ],
)
def test_sizes_are_powers_of_ten(number: float | None, text: str) -> None:
    assert table.size(number) == text


def test_shares_and_rates_never_show_zero_for_something() -> None:
    assert [table.share(one) for one in (0, 0.00001, 0.001, 0.5, 1, None)] == [
        "0 %",
        "<0.01 %",
        "0.1 %",
        "50 %",
        "100 %",
        "-",
    ]
    assert table.rate(12.345) == "12.3/s"


def test_numbers_stand_right_and_the_table_fits_the_width() -> None:
    columns = [Column("NAME", shrink=1), Column("N", right=True)]
    text = table.table(columns, [["a" * 60, "7"], ["b", "1,234"]], 40, colour=False)
    lines = text.splitlines()
    assert [len(line) for line in lines] == [40, 40, 40]
    assert lines[1].endswith("…      7") and lines[2].endswith("  1,234")


def test_a_table_that_fits_is_left_alone_and_has_no_trailing_space() -> None:
    text = table.table([Column("A"), Column("B")], [["x", "yy"], ["xxx", "y"]], 80, colour=False)
    assert text == "A    B\nx    yy\nxxx  y"


def test_colours_are_used_only_when_asked_for() -> None:
    rows = [[Cell("bad", "red")]]
    assert "\x1b" not in table.table([Column("A")], rows, 80, colour=False)
    assert "\x1b[31mbad\x1b[0m" in table.table([Column("A")], rows, 80, colour=True)


def test_foreign_text_cannot_drive_the_terminal() -> None:
    assert table.clean("a\x1b[2J\nb\u202ec\x9b") == "a�[2J�b�c�"
    assert table.clean("größe 日本") == "größe 日本"


def test_wide_characters_count_as_two_columns() -> None:
    assert table.len_of("日本") == 4
    assert table.cut("日本語", 4) == "日…"
    assert table.table([Column("A"), Column("B")], [["日本", "x"], ["abcd", "y"]], 80, False).splitlines()[1:] == [
        "日本  x",
        "abcd  y",
    ]


def span(span_id: str, parent: str | None, start: int, duration: int, **more: Any) -> dict[str, Any]:
    return {
        "span_id": span_id, "parent_id": parent, "name": f"name {span_id}", "service": "shop", "start_ns": str(start),
        "duration_ns": duration, "status": "unset", "status_message": "", **more,
    }  # fmt: skip


def shown(*spans: dict[str, Any], width: int = 100) -> list[str]:
    begin = min(int(one["start_ns"]) for one in spans)
    end = max(int(one["start_ns"]) + one["duration_ns"] for one in spans)
    trace = {"trace_id": "ab" * 16, "start_ns": str(begin), "duration_ns": end - begin, "spans": list(spans)}
    return tree(trace, Screen(width, False)).splitlines()


def test_a_tree_shows_children_below_their_parent_with_duration_service_and_bar() -> None:
    lines = shown(span("a", None, 0, 1000), span("b", "a", 0, 500), span("c", "b", 100, 100), span("d", "a", 500, 500))
    assert [line.split("  ")[0] for line in lines[1:]] == ["name a", "├ name b", "│ └ name c", "└ name d"]
    assert all("shop" in line and "━" in line for line in lines[1:])
    assert "1 µs" in lines[1] and "500 ns" in lines[2]
    assert max(map(len, lines)) <= 100
    assert lines[4].index("━") > lines[3].index("━") > lines[2].index("━")


def test_an_error_is_marked_and_its_message_stands_below() -> None:
    lines = shown(span("a", None, 0, 1000, status="error", status_message="no\nsuch table"))
    assert lines[1].startswith("✗ name a") and "no�such table" in lines[2]


def test_orphans_and_cycles_are_shown_once_each() -> None:
    lines = shown(span("a", "gone", 0, 10), span("b", "c", 1, 1), span("c", "b", 2, 1), span("d", "d", 3, 1))
    assert sorted(line.split("name ")[1][0] for line in lines[1:]) == ["a", "b", "c", "d"]


def test_a_trace_deeper_than_pythons_stack_is_shown() -> None:
    spans = [span(f"{at}", f"{at - 1}" if at else None, at, 5000 - at) for at in range(3000)]
    lines = shown(*spans)
    assert len(lines) == 3001
    assert max(map(len, lines)) <= 100
