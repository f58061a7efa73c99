# SPDX-License-Identifier: Apache-2.0
"""A Celery application, and the program that asks it: tasks that succeed, fail, retry, ask others, see their headers.

As a module it's what a worker runs; as a program it sends the tasks to one, or with `eager` runs them itself.
"""

from __future__ import annotations

import os
import sys

from celery import Celery, chain
from opentelemetry import trace

app = Celery(
    "celery_shop", broker=os.environ.get("REDIS", "memory://"), backend=os.environ.get("REDIS", "cache+memory://")
)
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
if "eager" in sys.argv:
    app.conf.task_always_eager = True
tracer = trace.get_tracer("shop")


@app.task(name="shop.add")
def add(one, two):
    with tracer.start_as_current_span("adding"):
        return one + two


@app.task(name="shop.broken")
def broken():
    return 1 // 0


@app.task(name="shop.flaky", bind=True, max_retries=2)
def flaky(self):
    if self.request.retries == 0:
        raise self.retry(exc=KeyError("once"), countdown=0)
    return self.request.retries


@app.task(name="shop.asks")
def asks():
    return add.delay(1, 1).id and "asked"


@app.task(name="shop.seen", bind=True)
def seen(self):
    """What a task sees of its message's headers."""
    mine = ("traceparent", "tracestate", "baggage", "pillion")
    return [self.request.headers, [getattr(self.request, name, None) for name in mine]]


def main():
    with tracer.start_as_current_span("request"):
        print(add.delay(2, 3).get(timeout=60))
        print(chain(add.s(1, 2), add.s(4)).apply_async().get(timeout=60))
        print(flaky.apply_async().get(timeout=60))
        print(asks.delay().get(timeout=60))
    try:
        broken.delay().get(timeout=60)
    except ZeroDivisionError as error:
        print(error)
    print(seen.delay().get(timeout=60))
    own = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "mine": "yes"}
    print(seen.apply_async(headers=own).get(timeout=60), sorted(own))


if __name__ == "__main__":
    main()
