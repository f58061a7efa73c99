# SPDX-License-Identifier: Apache-2.0
"""multiprocessing and ProcessPoolExecutor by a start method: processes, pools, recycled and terminated workers."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from census import census
from opentelemetry import trace

tracer = trace.get_tracer("workers")


def work(number: int) -> int:
    with tracer.start_as_current_span(f"work {number}"):
        return number * number


def fails() -> None:
    work(99)
    sys.exit(9)


def main(method: str) -> None:
    context = multiprocessing.get_context(method)
    with tracer.start_as_current_span("process"):
        processes = [context.Process(target=work, args=(1,)), context.Process(target=fails)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        print([process.exitcode for process in processes])
    with tracer.start_as_current_span("pool"), context.Pool(2, maxtasksperchild=1) as pool:
        print(pool.map(work, range(10, 14), chunksize=1))
    with tracer.start_as_current_span("executor"), ProcessPoolExecutor(2, mp_context=context) as executor:
        print(list(executor.map(work, range(20, 24))))
        with tracer.start_as_current_span("inner"):
            print(executor.submit(work, 25).result())
    stuck = context.Process(target=os.read, args=(os.pipe()[0], 1))
    stuck.start()
    stuck.terminate()
    stuck.join()
    print(stuck.exitcode)


if __name__ == "__main__":
    main(sys.argv[1])
    if sys.argv[1] == "fork":
        census("at the end")
