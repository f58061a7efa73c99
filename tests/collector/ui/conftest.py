# SPDX-License-Identifier: Apache-2.0
"""One headless Chromium for all tests of the page, and the page on a real collector or on fake_api."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.collector.ui.fake_api import FakeApi
from tests.collector.ui.page import Page

SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1440,900",
]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromium-driver (apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    found.set_script_timeout(60)
    yield found
    found.quit()


@pytest.fixture
def downloads(browser: WebDriver, tmp_path: Path) -> Path:
    """Where files land that the page offers."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    return tmp_path


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeApi]:
    yield from serve(FakeApi())


@pytest.fixture(scope="session")
def fake_empty() -> Iterator[FakeApi]:
    yield from serve(FakeApi(empty=True))


def serve(server: FakeApi) -> Iterator[FakeApi]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def fake_page(browser: WebDriver, fake: FakeApi) -> Iterator[Page]:
    yield from tab(Page(browser, fake.url))


def tab(page: Page) -> Iterator[Page]:
    """A page at the usual size; at the end it must have caused no error, and it is left, so that its stream closes."""
    page.size(1440)
    page.messages()
    yield page
    complaints = page.messages()
    page.driver.get("about:blank")
    assert not complaints
