# SPDX-License-Identifier: Apache-2.0
"""A parent that records something, forks at once, and has nothing to do any more until somebody writes to it."""

from __future__ import annotations

import logging  # it has fork handlers of its own, in Python
import os
import sys

from opentelemetry import trace

logging.getLogger()
trace.get_tracer("idle").start_span("before the fork").end()
if os.fork() == 0:
    os._exit(0)
os.wait()
print(sys.stdin.readline())
