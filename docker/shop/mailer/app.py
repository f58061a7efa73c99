# SPDX-License-Identifier: Apache-2.0
"""mailer: a celery worker that writes receipts; instead of an SMTP server, a list in Redis gets them."""

import os
from pathlib import Path

import redis
from celery import Celery
from celery.signals import heartbeat_sent, worker_ready

REDIS = os.environ.get("REDIS_URL", "redis://redis:6379/0")
KEPT = 1000
ALIVE = Path("/tmp/alive")

app = Celery("mailer", broker=REDIS)
app.conf.broker_connection_retry_on_startup = True
outbox = redis.Redis.from_url(REDIS)


@worker_ready.connect
@heartbeat_sent.connect
def alive(**_):
    """For the container's health check: a file that is young while the worker lives."""
    ALIVE.touch()


@app.task(name="mailer.receipt", ignore_result=True)
def receipt(order, name, amount, total):
    """One receipt."""
    outbox.lpush("outbox", f"Order {order}: {amount} x {name}, {total / 100:.2f} in all. Thank you!")
    outbox.ltrim("outbox", 0, KEPT - 1)
