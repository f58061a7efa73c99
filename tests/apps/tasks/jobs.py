# SPDX-License-Identifier: Apache-2.0
"""A celery application: jobs that record, fail, ask other jobs, and one that ends its process."""

from __future__ import annotations

import os
import signal
import sqlite3

from celery import Celery
from opentelemetry import trace

app = Celery("jobs", broker=os.environ["REDIS"], backend=os.environ["REDIS"])
app.conf.update(task_acks_late=True, worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
tracer = trace.get_tracer("jobs")
with tracer.start_as_current_span("import"):
    pass


@app.task(name="double")
def double(number: int) -> int:
    with tracer.start_as_current_span(f"double {number}"):
        return sqlite3.connect(":memory:").execute("SELECT ? * 2", (number,)).fetchone()[0]


@app.task(name="fail")
def fail() -> None:
    with tracer.start_as_current_span("fail"):
        raise ValueError("as asked")


@app.task(name="die")
def die() -> None:
    with tracer.start_as_current_span("last"):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
