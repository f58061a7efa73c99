# SPDX-License-Identifier: Apache-2.0
"""Child program: the cost of a span: start, three attributes, end.  span_cost.py VARIANT ROUNDS SPANS

Prints JSON: for each round the CPU ns a span on the calling thread, and in the whole process until the spans were sent.
"""

import json
import sys
import time


def pillion(count):
    from pillion import _native

    begin = _native.begin

    def work():
        for _ in range(count):
            span = begin("work")
            span.set("bench.text", "a short text")
            span.set("bench.number", 5)
            span.set("bench.flag", True)
            span.end()

    return work, lambda: _native.flush(30)


def otel(count):
    from opentelemetry import trace

    tracer = trace.get_tracer("bench")

    def work():
        for _ in range(count):
            span = tracer.start_span("work")
            span.set_attribute("bench.text", "a short text")
            span.set_attribute("bench.number", 5)
            span.set_attribute("bench.flag", True)
            span.end()

    return work, trace.get_tracer_provider().force_flush


def ddtrace(count):
    from ddtrace.trace import tracer

    def work():
        for _ in range(count):
            span = tracer.start_span("work")
            span.set_tag("bench.text", "a short text")
            span.set_metric("bench.number", 5)
            span.set_tag("bench.flag", "true")
            span.finish()

    return work, tracer.flush


def main():
    variant, rounds, count = sys.argv[1].split()[0], int(sys.argv[2]), int(sys.argv[3])
    work, flush = globals()[variant](count)
    thread, process = [], []
    for _ in range(rounds + 2):
        whole, own = time.process_time_ns(), time.thread_time_ns()
        work()
        thread.append((time.thread_time_ns() - own) / count)
        flush()
        process.append((time.process_time_ns() - whole) / count)
    print(json.dumps({"thread_ns": thread[2:], "process_ns": process[2:]}))


main()
