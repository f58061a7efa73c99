# SPDX-License-Identifier: Apache-2.0
"""States that are hard to bring about for real, on fake_api: nothing yet, refusals, large traces, all widths."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.collector.ui.conftest import tab
from tests.collector.ui.fake_api import UI, FakeApi
from tests.collector.ui.page import Keys, Page

FIRST_VIEW_BYTES = 150_000
LARGE = "#/trace/" + "0" * 27 + "05000"
HUGE = "#/trace/" + "0" * 26 + "100000"
PAGES = [
    "#/services",
    "#/traces?service=shop&attribute=a%3Db",
    "#/trace/" + "0" * 30 + "41",
    "#/processes/4711-900",
    "#/crashes/4712-901",
    "#/health",
]


@pytest.fixture
def empty_page(browser: WebDriver, fake_empty: FakeApi) -> Iterator[Page]:
    yield from tab(Page(browser, fake_empty.url))


def test_an_empty_first_screen_gives_the_command_and_why_processes_are_missing(empty_page: Page) -> None:
    empty_page.open()
    empty_page.see(".welcome code", "pillion run -- python app.py")
    assert "CPython 2.7 is not supported" in empty_page.see(".refusals").text


def test_an_empty_list_of_traces_tells_how_to_get_some_or_how_to_see_more(empty_page: Page) -> None:
    empty_page.open("#/traces").see(".empty", "pillion run")
    empty_page.open("#/traces?status=error").see(".empty button", "Clear the filters").click()
    empty_page.see(".empty", "pillion run")
    assert empty_page.address() == "#/traces"


def test_a_process_of_a_container_says_which_and_what_could_not_be_read(fake_page: Page) -> None:
    assert "4be14be14be1" in fake_page.open("#/processes").see("table", "killed by SIGKILL").text
    facts = fake_page.open("#/processes/4711-900").see("dl.facts", "4be14be14be1").text
    assert re.search(r"PID in its container\s+1\b", facts) and re.search(r"Not to be read\s+disk", facts)
    facts = fake_page.open("#/processes/4714-903").see("dl.facts", "pid namespace").text
    assert "pid: host" in facts and "Not to be read" not in facts


def test_processes_tell_why_they_are_not_instrumented_and_how_they_ended(fake_page: Page) -> None:
    table = fake_page.open("#/processes").see("table", "killed by SIGKILL").text
    assert "no VERSION: CPython 2.7 is not supported (3.8 to 3.15 are)" in table
    assert fake_page.see(".summary").text == "9 running, 5 instrumented · 1 ended", (
        "a forked worker counts by its spans"
    )
    fake_page.see("tbody tr", "4711").click()
    fake_page.see("figure", "Memory")
    assert fake_page.address() == "#/processes/4711-900"


def test_a_process_that_nothing_reached_is_listed_with_the_evidence_and_what_to_do(fake_page: Page) -> None:
    fake_page.open("#/processes").see("tbody tr", "NOT_REACHED").click()
    trouble = fake_page.see(".trouble").text
    assert "/srv/till.py of /usr/bin/python3.12 is left alone" in trouble and "rules.conf:7: dney" in trouble
    told = fake_page.see(".why", "NOT_REACHED").text
    assert "LD_PRELOAD is not set in its environment" in told and "Set LD_PRELOAD to libpillion.so" in told
    fake_page.see(".segments button", "Not instrumented").click()
    fake_page.until(lambda: len(fake_page.texts("tbody tr")) == 4)
    assert "unknown UNREADABLE" in fake_page.see("table").text
    assert fake_page.address() == "#/processes/990-12?show=no", "the one that is looked at stays"
    fake_page.see(".segments button", "Instrumented").click()
    fake_page.see("tbody tr", "4711")
    assert all("no " not in row for row in fake_page.texts("tbody td.reason"))


def test_crashes_tell_how_in_which_requests_and_after_which_spans(fake_page: Page, empty_page: Page) -> None:
    first = fake_page.open("#/crashes").see(".crash", "killed by SIGKILL, out of memory").text
    assert "POST /checkout/1" in first and "for 2" in first and "SELECT orders" in first and "torn 1" in first
    assert fake_page.see(".summary").text == "4 processes"
    fake_page.open("#/crashes/4712-901").see(".crash.chosen", "killed by SIGSEGV")
    fake_page.see(".crash.chosen table a").click()
    fake_page.until(lambda: fake_page.address().startswith("#/trace/"))
    empty_page.open("#/crashes").see(".empty", "No process crashed")


@pytest.mark.parametrize("address", PAGES)
def test_a_page_fits_every_width_is_legible_in_light_and_dark_and_names_its_controls(
    fake_page: Page, address: str
) -> None:
    fake_page.open(address).see("main table, main [role=treeitem]")
    for width in (360, 1024, 2560):
        assert fake_page.size(width, 740).overflow() <= 0, width
    for dark in (False, True):
        assert fake_page.size(1440, dark=dark).run(CONTRAST) == []
    assert fake_page.run(NAMELESS) == []


def test_the_first_view_is_small_and_needs_no_other_host(fake_page: Page) -> None:
    fake_page.open().see("tbody tr")
    script = "return performance.getEntriesByType('resource').map((e) => [e.name, e.decodedBodySize])"
    loaded = [(name, size) for name, size in fake_page.run(script) if "/api/" not in name]
    assert all(name.startswith(fake_page.url) for name, _ in loaded)
    assert 10_000 < sum(size for _, size in loaded) + (UI / "index.html").stat().st_size <= FIRST_VIEW_BYTES


def test_five_thousand_spans_open_quickly_and_few_of_them_are_elements(fake_page: Page) -> None:
    fake_page.open(LARGE).see(".sums", "5.00 k spans")
    assert len(fake_page.all("[role=treeitem]")) < 100
    took = fake_page.run(BUILD, "0" * 27 + "05000")
    assert took < 3000, f"{took} ms for tree and rows; 300 is the goal, 3,000 the limit on a busy machine"


def test_a_hundred_thousand_spans_stay_scrollable(fake_page: Page) -> None:
    fake_page.open(HUGE).see(".sums", "100 k spans")
    fake_page.see("[role=tree]").send_keys(Keys.END)
    last = fake_page.until(lambda: fake_page.run("return document.querySelector('[aria-selected=true]')?.id"))
    assert last == "span-99999"
    assert len(fake_page.all("[role=treeitem]")) < 100


def test_the_toggle_goes_from_the_system_to_light_and_dark_and_is_remembered(fake_page: Page) -> None:
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    fake_page.size(1440, dark=True).open().see("tbody tr")
    dark = fake_page.run(ground)
    fake_page.see("#theme").click()
    assert fake_page.run(ground) != dark
    fake_page.open().see("tbody tr")
    assert fake_page.run(ground) != dark
    fake_page.press("T")
    assert fake_page.run(ground) == dark
    fake_page.press("T")
    assert fake_page.run("return document.documentElement.dataset.theme") == "system"


def test_brushing_the_scatter_selects_a_time_and_a_duration(fake_page: Page) -> None:
    fake_page.open("#/traces").see("tbody tr")
    fake_page.run(BRUSH)
    fake_page.until(lambda: "from=" in fake_page.address() and "min=" in fake_page.address())
    fake_page.see(".chip button").click()
    fake_page.until(lambda: fake_page.address() == "#/traces")


def test_an_idle_page_asks_nothing_and_a_hidden_one_ignores_changes(fake_page: Page, fake: FakeApi) -> None:
    fake_page.open().see("tbody tr")
    fake_page.see("#live", "live")
    quiet = "const done = arguments[0], n = performance.getEntriesByType('resource').length;"
    quiet += "setTimeout(() => done(performance.getEntriesByType('resource').length - n), 2500)"
    fake_page.driver.execute_async_script("setTimeout(arguments[0], 1500)")  # the rest after the first load
    assert fake_page.driver.execute_async_script(quiet) == 0
    fake_page.run("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    fake_page.run("document.dispatchEvent(new Event('visibilitychange'))")
    fake.changed.set()
    assert fake_page.driver.execute_async_script(quiet) == 0
    fake.changed.clear()


def test_the_sort_of_the_services_is_part_of_the_address(fake_page: Page) -> None:
    fake_page.open().see("th button", "p95").click()
    fake_page.until(lambda: "sort=-p95_ns" in fake_page.address())
    fake_page.see("th[aria-sort=descending]", "p95")  # the rows follow when they were fetched
    slowest = fake_page.see("tbody tr").text.split()[0]
    assert fake_page.open(fake_page.address()).see("tbody tr").text.split()[0] == slowest


NAMELESS = """
const controls = document.querySelectorAll("button, input, select, a[href], [role=tree], canvas, svg[role]");
const named = (e) => e.getAttribute("aria-label") || e.textContent.trim() || e.title;
return [...controls].filter((e) => !named(e)).map((e) => e.outerHTML);
"""

CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
}
const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3])).concat(1);
function ground(e) {
  const layers = [];
  for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
}
const light = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
const poor = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility() || e.closest("svg")) continue;
  const back = ground(e), front = over(rgba(getComputedStyle(e).color), back);
  const [a, b] = [luminance(front), luminance(back)].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) poor.push(`${e.className || e.tagName}: ${e.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
}
return poor;
"""

BUILD = """
return fetch("/api/traces/" + arguments[0]).then((r) => r.text()).then(async (text) => {
  const {buildTree} = await import("/tree.js"), {parse} = await import("/api.js");
  const {createWaterfall} = await import("/waterfall.js");
  const start = performance.now();
  const waterfall = createWaterfall({onSelect() {}, onOpen() {}});
  waterfall.update(buildTree(parse(text)));
  waterfall.close();
  return performance.now() - start;
});
"""

BRUSH = """
const box = document.querySelector(".scatter").getBoundingClientRect();
const at = (type, x, y) => document.querySelector(".scatter").dispatchEvent(new PointerEvent(type,
  {bubbles: true, button: 0, pointerId: 1, clientX: box.left + x * box.width, clientY: box.top + y * box.height}));
Element.prototype.setPointerCapture = () => {};
at("pointerdown", 0.3, 0.2); at("pointermove", 0.6, 0.7); at("pointerup", 0.6, 0.7);
"""
