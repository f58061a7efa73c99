# SPDX-License-Identifier: Apache-2.0
"""The page's pure modules, run in the browser that will run them: numbers, text, trees, metrics, export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.collector.ui.conftest import tab
from tests.collector.ui.fake_api import FakeApi
from tests.collector.ui.page import Page

NB = "\u00a0"
Made = dict[str, Any]


@pytest.fixture(scope="module")
def page(browser: WebDriver, fake: FakeApi) -> Iterator[Page]:
    yield from tab(Page(browser, fake.url).open("#/health"))


def made(span_id: str, parent: str | None, start: int, duration: int, **more: Any) -> Made:
    basis = {"service": "a", "name": span_id, "status": "unset", "attributes": {}}
    return {
        "span_id": span_id,
        "parent_id": parent,
        "start_ns": str(10**18 + start),
        "duration_ns": duration,
        **basis,
        **more,
    }


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("duration(999.6)", f"1.00{NB}µs"),
        ("duration(1234567)", f"1.23{NB}ms"),
        ("duration(0)", "0"),
        ("duration(90e9)", f"1.50{NB}min"),
        ("duration(null)", "\u2013"),
        ("count(999)", "999"),
        ("count(5000)", f"5.00{NB}k"),
        ("bytes(1048576)", f"1.00{NB}MiB"),
        ("bytes(17)", f"17{NB}B"),
        ("rate(0.0123)", f"0.0123{NB}/s"),
        ("rate(4321)", f"4.32{NB}k/s"),
        ("percent(0.0381)", f"3.81{NB}%"),
        ("percent(0.000001)", f"<0.01{NB}%"),
        ("utc('1700000000123456789')", "2023-11-14 22:13:20.123456789 UTC"),
        ("parseDuration('1.5s')", 1_500_000_000),
        ("parseDuration('40')", 40_000_000),
        ("parseDuration('soon')", None),
        ("ending({alive: false, exit: {signal: 9}})", "killed by SIGKILL"),
        ("ending({alive: false, exit: {code: 3}})", "failed, code 3"),
    ],
)
def test_a_number_has_a_unit_and_at_most_three_digits(page: Page, call: str, text: object) -> None:
    assert page.call("format.js", f"m.{call}") == text


def test_control_characters_and_direction_overrides_become_visible(page: Page) -> None:
    assert page.call("text.js", "m.visible(a[0])", "a\0b\x1b[31m\u202etxt.exe\n") == "a␀b␛[31m⟨U+202E⟩txt.exe\n"


def test_a_cut_never_halves_a_character_outside_the_basic_plane(page: Page) -> None:
    assert page.call("text.js", "m.cut(a[0], 2)", "a😀b") == "a…"


def test_the_hue_of_a_service_depends_on_its_name_alone_and_is_never_red(page: Page) -> None:
    hues = page.call(
        "colour.js", "a[0].map((name) => m.tone(name).hue)", [f"service-{i}" for i in range(300)] + ["", "é"]
    )
    assert all(65 <= hue <= 325 for hue in hues)
    assert len(set(hues)) > 8
    assert page.call("colour.js", "m.tone('service-7').hue") == hues[7]


def rows(page: Page, spans: list[Made]) -> Any:
    script = "m.buildTree({spans: a[0]}).rows.map((r) => [r.span.span_id, r.depth, r.size, m.selfTime(r), r.orphan])"
    return page.call("tree.js", script, spans)


def test_a_tree_is_in_order_of_start_with_depth_size_and_self_time(page: Page) -> None:
    spans = [made("c", "a", 60, 30), made("b", "a", 10, 40), made("a", None, 0, 100), made("d", "b", 20, 10)]
    assert rows(page, spans) == [
        ["a", 0, 4, 30, False],
        ["b", 1, 2, 30, False],
        ["d", 2, 1, 10, False],
        ["c", 1, 1, 30, False],
    ]


def test_a_span_whose_parent_never_came_and_a_cycle_are_shown_as_roots(page: Page) -> None:
    spans = [made("a", "gone", 0, 10), made("x", "y", 1, 2), made("y", "x", 2, 2), made("s", "s", 3, 1)]
    found = {row[0]: row for row in rows(page, spans)}
    assert set(found) == {"a", "x", "y", "s"}
    assert found["a"][4] and found["x"][4]
    assert found["s"][1] == 0


def test_a_chain_of_twenty_thousand_spans_needs_no_recursion(page: Page) -> None:
    spans = "Array.from({length: 20000}, (_, i) => ({span_id: String(i), parent_id: i ? String(i - 1) : null,"
    spans += " start_ns: String(10n ** 18n + BigInt(i)), duration_ns: 40000 - 2 * i, status: 'unset'}))"
    assert page.call("tree.js", f"m.buildTree({{spans: {spans}}}).rows.at(-1).depth") == 19_999


def test_the_critical_path_is_what_the_root_waited_for(page: Page) -> None:
    spans = [made("a", None, 0, 100), made("b", "a", 10, 50), made("c", "a", 20, 70), made("d", "a", 15, 3)]
    script = "Object.fromEntries(m.buildTree({spans: a[0]}).rows.map((r) => [r.span.span_id, r.critical]))"
    found = page.call("tree.js", script, spans)
    assert found["c"] == [[20, 90]]
    assert sorted(found["a"]) == [[0, 15], [18, 20], [90, 100]]
    assert found["b"] == []


def test_a_child_that_closes_after_its_parent_is_on_the_critical_path_until_the_parent_ends(page: Page) -> None:
    spans = [made("a", None, 0, 100), made("b", "a", 10, 95)]
    script = "Object.fromEntries(m.buildTree({spans: a[0]}).rows.map((r) => [r.span.span_id, r.critical]))"
    assert page.call("tree.js", script, spans) == {"a": [[0, 10]], "b": [[10, 100]]}


def test_a_rising_sum_is_shown_as_a_rate_and_a_restart_leaves_a_gap(page: Page) -> None:
    second = 10**9
    points = [[str(t * second), value] for t, value in ((1, 5), (2, 9), (3, 2), (5, 4))]
    metric = {"name": "x.total", "unit": "s", "kind": "sum", "monotonic": True, "attributes": {}, "points": points}
    script = "m.toCharts(a[0]).map((c) => [c.unit, c.series[0].points.map(([t, v]) => [String(t), v])])"
    assert page.call("metrics.js", script, [metric]) == [["s/s", [[str(2 * second), 4], [str(5 * second), 1]]]]


def test_a_histogram_is_shown_as_the_mean_of_each_interval(page: Page) -> None:
    points = [["1", 0.5, 2], ["2", 0.5, 2], ["3", 0.9, 4]]
    metric = {"name": "pillion.gc.pause", "unit": "s", "kind": "histogram", "attributes": {}, "points": points}
    script = "m.toCharts(a[0]).map((c) => c.series[0].points.map(([t, v]) => [String(t), v]))"
    assert page.call("metrics.js", script, [metric]) == [[["3", 0.2]]]


def test_an_integer_that_a_double_cannot_hold_stays_exact(page: Page) -> None:
    assert page.call("api.js", "m.parse(a[0]).big", '{"big": 9007199254740993, "small": 5}') == "9007199254740993"


def test_attributes_are_grouped_by_meaning(page: Page) -> None:
    given = {"db.system.name": "sqlite", "http.route": "/x", "cart": 1, "error.type": "E", "url.path": "/x"}
    found = page.call("attributes.js", "m.grouped(a[0]).map(([t, e]) => [t, e.map(([k]) => k)])", given)
    assert found == [
        ["Error", ["error.type"]],
        ["HTTP", ["http.route", "url.path"]],
        ["Database", ["db.system.name"]],
        ["Other", ["cart"]],
    ]
