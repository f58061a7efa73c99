# SPDX-License-Identifier: Apache-2.0
"""New data arrives by itself on a page that stays loaded, and waits while the list is paused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.collector.conftest import Running
from tests.collector.doomed import THREADS, Doom, doom, end
from tests.collector.ui.conftest import tab
from tests.collector.ui.page import Page
from tests.collector.ui.spans import checkout, new_trace, send, span

__all__ = ["doom"]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def page(browser: WebDriver, collector: Running) -> Iterator[Page]:
    yield from tab(Page(browser, collector.ui))


def test_the_first_spans_replace_the_empty_state_without_a_reload(page: Page, collector: Running) -> None:
    page.open().see(".welcome", "pillion run -- python app.py")
    page.see("#live", "live")
    page.run("window.loadedOnce = true")
    checkout(collector.grpc)
    page.see("tbody tr", "payments")
    checkout(collector.grpc, fails=True)
    page.see("tbody tr .error")
    assert page.run("return window.loadedOnce") is True


def test_a_row_that_changes_keeps_its_element_and_the_focus(page: Page, collector: Running) -> None:
    checkout(collector.grpc)
    page.open().see("tbody tr", "payments")
    page.run("for (const tr of document.querySelectorAll('tbody tr')) tr.kept = true")
    page.press("j")
    focused = page.run("return document.activeElement.dataset.href")
    checkout(collector.grpc, fails=True)
    page.see("tbody tr .error")
    assert page.run("return [...document.querySelectorAll('tbody tr')].every((tr) => tr.kept)")
    assert page.run("return document.activeElement.dataset.href") == focused


def test_a_paused_list_stands_still_until_it_is_resumed(page: Page, collector: Running) -> None:
    checkout(collector.grpc)
    page.open("#/traces").see("tbody tr", "POST /checkout")
    page.see("#live", "live")
    page.press("p")
    send(collector.grpc, "mailer", [span("send receipt", new_trace(), kind="consumer")])
    page.see("button", "Resume · new data")
    assert "send receipt" not in page.see("tbody").text
    page.press("p")
    page.see("tbody tr", "send receipt")


def test_late_spans_of_an_open_trace_join_it_and_the_chosen_span_stays(page: Page, collector: Running) -> None:
    trace = new_trace()
    root = span("GET /", trace, kind="server", took_ms=50)
    send(collector.grpc, "shop", [root])
    page.open(f"#/trace/{trace.hex()}").see("[role=treeitem]", "GET /")
    page.see("#live", "live")
    send(collector.grpc, "stock", [span("GET /stock", trace, root, kind="server", at_ms=5, took_ms=20)])
    page.see("[role=treeitem]", "stock")
    assert page.run("return document.querySelector('[aria-selected=true]').innerText").startswith("▾")


def test_a_process_under_pillion_appears_with_charts_that_fill_by_themselves(page: Page, collector: Running) -> None:
    page.open("#/processes").see("#live", "live")
    program = "import sys; print('up', flush=True); sys.stdin.read()"
    command = [sys.executable, "-m", "pillion", "run", "--service", "sleeper", "--", sys.executable, "-c", program]
    environ = {**os.environ, "PILLION_RUN_DIR": str(collector.run_dir), "PYTHONPATH": str(ROOT / "agent")}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        page.see("tbody tr", "sleeper").click()
        page.see("figure", "Memory")
        assert "yes" in page.see("tbody tr", "sleeper").text
    page.see("tbody tr", "ended")


def test_a_crash_appears_by_itself_and_leads_to_the_request_that_never_ended(
    page: Page, collector: Running, doom: Doom
) -> None:
    page.open("#/crashes").see(".empty", "No process crashed")
    page.see("#live", "live")
    end(doom(collector), "SIGKILL")
    shown = page.see(".crash", "killed by SIGKILL")
    assert shown.text.count("GET /last") == THREADS
    page.see(".crash table a", "GET /last").click()
    assert "unfinished" in page.see("[role=treeitem]", "GET /last").text
    page.see(".failure", "the process was killed by SIGKILL")
    page.open("#/processes").see("tbody tr a", "killed by SIGKILL").click()
    page.see(".crash.chosen", "killed by SIGKILL")


def test_a_collector_that_ends_is_noticed_and_said(page: Page, collector: Running) -> None:
    page.open().see("#live", "live")
    collector.stop()
    page.see("#live", "offline")
    page.driver.get("about:blank")
    page.messages()  # refused connections are what this test is about
