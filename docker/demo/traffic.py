# SPDX-License-Identifier: Apache-2.0
"""Customers for the demo's shop: a thread that browses, buys and now and then asks for the slow page.

It is no part of what is traced, so it talks plain http.client and counts what it was answered.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from urllib.parse import urlencode, urlsplit

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def visits(dice: random.Random) -> list[tuple[str, str, str]]:
    """One customer's way through the shop: (method, path, body)."""
    number = dice.randint(1, 7)  # there is no seventh product: a 404 now and then
    way = [("GET", "/", ""), ("GET", f"/products/{number}", "")]
    if dice.random() < 0.5 and number < 7:
        way.append(("POST", "/checkout", urlencode({"product": number, "amount": dice.randint(1, 3)})))
    if dice.random() < 0.08:
        way.append(("GET", "/report", ""))
    return way


class Traffic:
    """Sends about `rate` requests a second to `url` until `stop` is called."""

    def __init__(self, url: str, rate: float = 10, seed: int | None = None) -> None:
        self.answers: Counter[int] = Counter()
        self._address = urlsplit(url).netloc
        self._pause = 1 / rate
        self._dice = random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends it; the request that is under way is still answered."""
        self._ended.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._ended.is_set():
            for method, path, body in visits(self._dice):
                self._ask(method, path, body)
                if self._ended.wait(self._pause):
                    return

    def _ask(self, method: str, path: str, body: str) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        try:
            connection.request(method, path, body, FORM if body else {})
            answer = connection.getresponse()
            answer.read()
            self.answers[answer.status] += 1
            if answer.status == 303:
                self._ask("GET", answer.headers["Location"], "")
        except OSError:
            self.answers[0] += 1  # the shop is being stopped
        finally:
            connection.close()
