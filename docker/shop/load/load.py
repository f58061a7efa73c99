# SPDX-License-Identifier: Apache-2.0
"""load: customers of the shop. They browse, buy, ask for a report, and once in a while for one that is far too long."""

import os
import random
import time
from collections import Counter
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

WEB = os.environ.get("WEB_URL", "http://web:8000")
PAUSE = 1 / float(os.environ.get("RATE", "5"))  # requests a second
TOO_LONG = float(os.environ.get("TOO_LONG_EVERY", "600"))  # seconds between two of those; 0: never
SAY = 30


def ask(path, **form):
    """One request; the status, 0 when nobody answered."""
    try:
        with urlopen(WEB + path, urlencode(form).encode() if form else None, timeout=30) as answer:
            answer.read()
            return answer.status
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return 0


def visit():
    """The requests of one customer, one after the other."""
    number = random.randint(1, 6)  # there is no sixth product: a 404 now and then
    yield "/", {}
    yield f"/products/{number}", {}
    if number < 6 and random.random() < 0.5:
        yield "/checkout", {"product": number, "amount": random.randint(1, 3)}
    if random.random() < 0.05:
        yield "/report?days=30", {}


def main():
    answers = Counter()
    told = time.monotonic()
    crash = told + TOO_LONG / 10 if TOO_LONG else float("inf")
    while True:
        for path, form in visit():
            answers[ask(path, **form)] += 1
            time.sleep(PAUSE)
        now = time.monotonic()
        if now > crash:
            answers[ask("/report?days=10000000")] += 1
            crash = now + TOO_LONG
        if now > told + SAY:
            print(dict(answers), flush=True)
            told = now


if __name__ == "__main__":
    main()
