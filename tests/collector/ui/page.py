# SPDX-License-Identifier: Apache-2.0
"""The page under test, as a reader handles it: open, see, click, type. Every wait is for something, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

DEADLINE_S = 30.0


class Page:
    """One tab on one server."""

    def __init__(self, driver: WebDriver, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, address: str = "#/services") -> Page:
        """Loads the page anew at an address such as #/traces?service=shop."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{address}")
        return self

    def size(self, width: int, height: int = 900, dark: bool = False) -> Page:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def call(self, module: str, expression: str, *arguments: Any) -> Any:
        """A value computed by one of the page's own modules: `m` is the module, `a` the arguments."""
        script = (
            "const done = arguments[arguments.length - 1], a = [...arguments].slice(0, -1);"
            f"import('/{module}').then((m) => ({expression}), (e) => {{ throw e; }})"
            ".then((value) => done({value}), (error) => done({error: String(error)}));"
        )
        answer = self.driver.execute_async_script(script, *arguments)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        """Visible text of what matches now; [] when it is being drawn again at this moment."""
        try:
            return [element.text for element in self.all(css) if element.is_displayed()]
        except StaleElementReferenceException:
            return []

    def see(self, css: str, text: str = "") -> WebElement:
        """The first visible match that holds `text`, waiting for it."""

        def look() -> WebElement | None:
            try:
                return next((one for one in self.all(css) if one.is_displayed() and text in one.text), None)
            except StaleElementReferenceException:
                return None

        found: WebElement = self.until(look, f"{css} with {text!r}")
        return found

    def until(self, question: Callable[[], Any], what: str = "") -> Any:
        end = time.monotonic() + DEADLINE_S
        while not (answer := question()):
            assert time.monotonic() < end, f"not seen in {DEADLINE_S:.0f} s: {what or question}; {self.body()!r}"
            time.sleep(0.02)
        return answer

    def body(self) -> str:
        return str(self.run("return document.body.innerText.slice(0, 1500)"))

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def address(self) -> str:
        return str(self.run("return location.hash"))

    def messages(self) -> list[str]:
        """What the browser complained about: errors of scripts, refused styles and the like."""
        log = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in log if entry["level"] == "SEVERE"]

    def overflow(self) -> int:
        """Pixels by which the document is wider than the window."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))


__all__ = ["Keys", "Page"]
