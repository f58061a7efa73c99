# SPDX-License-Identifier: Apache-2.0
"""Names and values made to break the page: markup, a megabyte, right-to-left overrides, NUL. All of it stays text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.collector.conftest import Running
from tests.collector.ui.conftest import tab
from tests.collector.ui.fake_api import UI
from tests.collector.ui.page import Page
from tests.collector.ui.spans import new_trace, raised, send, span

SCRIPT = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
OVERRIDE = "invoice\u202etxt.exe"
PARSERS = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "createContextualFragment"]
PARSERS += ["eval(", "new Function", "javascript:", "http://", "https://", "setInterval"]
ALLOWED = {"http://www.w3.org/2000/svg"}


@pytest.fixture
def page(browser: WebDriver, collector: Running) -> Iterator[Page]:
    yield from tab(Page(browser, collector.ui))


def send_hostile(collector: Running) -> str:
    trace = new_trace()
    values = {
        SCRIPT: SCRIPT,
        "db.query.text": SCRIPT,
        "override": OVERRIDE,
        "arabic": "مرحبا",
        "nul": "before\0after",
        "__proto__": "polluted",
        "constructor": "polluted",
        "large": "M" * 1_000_000,
        "lines": "x\n" * 5_000,
    }
    root = span(SCRIPT, trace, kind="server", attributes=values, error=SCRIPT, events=raised(SCRIPT, SCRIPT, SCRIPT))
    child = span(OVERRIDE * 3000, trace, root, at_ms=0.1)
    send(collector.grpc, SCRIPT, [root, child], service_instance_id=SCRIPT)
    return trace.hex()


def is_unbroken(page: Page) -> bool:
    made = "return [...document.querySelectorAll('main script, main img, main iframe')].length"
    return page.run("return window.broken") is None and page.run(made) == 0 and page.overflow() <= 0


def test_markup_in_names_and_values_stays_text_on_every_page(page: Page, collector: Running) -> None:
    trace = send_hostile(collector)
    page.open().see("tbody tr", "<script>")
    assert is_unbroken(page)
    page.open("#/traces").see("tbody tr", "<script>")
    page.see("option", "<script>")
    assert is_unbroken(page)
    page.open(f"#/trace/{trace}").see(".failure pre", SCRIPT)
    assert is_unbroken(page)
    assert page.run("return ({}).polluted") is None


def test_overrides_and_nul_are_made_visible_and_natural_script_is_kept(page: Page, collector: Running) -> None:
    page.open(f"#/trace/{send_hostile(collector)}")
    text = page.see(".detail", "override").text
    assert "invoice⟨U+202E⟩txt.exe" in text
    assert "before␀after" in text
    assert "مرحبا" in text
    assert "\u202e" not in page.see("[role=tree]").text


def test_a_megabyte_is_cut_and_grows_on_request(page: Page, collector: Running) -> None:
    page.open(f"#/trace/{send_hostile(collector)}").see(".detail", "override")
    more = page.see(".longtext button", "977 KiB")
    assert page.run("return document.querySelector('.detail').textContent.length") < 50_000
    more.click()
    page.until(lambda: page.run("return document.querySelector('.detail').textContent.length") > 20_000)
    assert is_unbroken(page)


def test_the_address_is_as_untrusted_as_the_data(page: Page, collector: Running) -> None:
    send_hostile(collector)
    for address in ("#/traces?q=%3Cscript%3E&attribute=%3Cimg%3E%3D%22", "#/constructor", "#/traces?from=%00&limit=-5"):
        page.open(address)
        page.see("#live", "live")
        assert is_unbroken(page)
    page.messages()  # a bad parameter is answered with 400, which the browser logs


def test_no_file_of_the_page_parses_markup_polls_or_names_another_host() -> None:
    found = []
    for path in UI.rglob("*"):
        if path.suffix not in {".js", ".html"}:
            continue
        text = path.read_text()
        for allowed in ALLOWED:
            text = text.replace(allowed, "")
        found += [f"{path.name}: {word}" for word in PARSERS if word in text]
    assert not found
