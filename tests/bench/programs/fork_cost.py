# SPDX-License-Identifier: Apache-2.0
"""Child program: what a fork and its child's exit cost.  fork_cost.py VARIANT ROUNDS FORKS

The parent has recorded a span before. Prints JSON: for each round the CPU µs a fork, of parent and child, once with a
child that does nothing and once with one that records a span.
"""

import json
import os
import resource
import sys


def recorder(variant):
    if variant == "pillion":
        from pillion import _native

        return lambda: _native.begin("work").end()
    if variant == "otel":
        from opentelemetry import trace

        return lambda: trace.get_tracer("bench").start_span("work").end()
    if variant == "ddtrace":
        from ddtrace.trace import tracer

        return lambda: tracer.start_span("work").finish()
    return lambda: None


def used_us():
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses) * 1e6


def forks(count, work):
    before = used_us()
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                work()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    return (used_us() - before) / count


def main():
    variant, rounds, count = sys.argv[1].split()[0], int(sys.argv[2]), int(sys.argv[3])
    record = recorder(variant)
    record()
    plain, recording = [], []
    for _ in range(rounds + 1):
        plain.append(forks(count, lambda: None))
        recording.append(forks(count, record))
    print(json.dumps({"fork_us": plain[1:], "recording_us": recording[1:]}))


main()
