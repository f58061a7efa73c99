# SPDX-License-Identifier: Apache-2.0
"""Child program: what a hooked call costs inside a span that is not sampled.  hook_cost.py VARIANT ROUNDS CALLS

The call is sqlite3's cheapest. Prints JSON: for each round the CPU ns a call; the bare app's is to be subtracted.
"""

import contextlib
import json
import sqlite3
import sys
import time


def around(variant):
    if variant == "pillion":
        from pillion import _native

        span = _native.begin("root", 2)
        return span
    if variant == "otel":
        from opentelemetry import trace

        return trace.get_tracer("bench").start_as_current_span("root")
    if variant == "ddtrace":
        from ddtrace.trace import tracer

        return tracer.trace("root")
    return contextlib.nullcontext()


def main():
    variant, rounds, count = sys.argv[1].split()[0], int(sys.argv[2]), int(sys.argv[3])
    database = sqlite3.connect(":memory:")
    cursor = database.cursor()
    costs = []
    for _ in range(rounds + 2):
        with around(variant):
            execute = cursor.execute
            before = time.thread_time_ns()
            for _ in range(count):
                execute("SELECT 1")
            costs.append((time.thread_time_ns() - before) / count)
    print(json.dumps({"call_ns": costs[2:]}))


main()
