# SPDX-License-Identifier: Apache-2.0
"""Pools of threads: concurrent.futures', asyncio's, multiprocessing's; what they tell of a job is the job's own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing.pool
import sys
import traceback
import weakref

from census import census
from opentelemetry import trace

tracer = trace.get_tracer("pools")


def work(name: object, fails: bool = False) -> str:
    with tracer.start_as_current_span(f"work {name}"):
        if fails:
            raise ValueError(name)
    return f"{name} from {sys._getframe(1).f_code.co_name}"


class Loud(concurrent.futures.ThreadPoolExecutor):
    """One that looks at what it's given."""

    def submit(self, fn, *args, **kwargs):
        print("submitted", fn is work, args)
        return super().submit(fn, *args, **kwargs)


def failing(pool: concurrent.futures.Executor, *call: object) -> None:
    try:
        pool.submit(*call).result()
    except Exception as error:
        lines = [line for line in traceback.format_exception(error) if "/concurrent/" not in line]
        print("failed", [line.split(", line")[-1] for line in lines])


async def asynchronous() -> None:
    loop = asyncio.get_running_loop()
    with tracer.start_as_current_span("coroutine"):
        print(await loop.run_in_executor(None, work, "run_in_executor"))
        print(await asyncio.to_thread(work, "to_thread"))
    print(await loop.run_in_executor(None, work, "outside run_in_executor"))


class Job:
    def __call__(self) -> str:
        return work("object")


with Loud(2) as pool:
    with tracer.start_as_current_span("first"):
        print(pool.submit(work, "first job").result())
    with tracer.start_as_current_span("second"):
        print(list(pool.map(work, range(3))))
        job = Job()
        gone = weakref.ref(job)
        print(pool.submit(job).result())
        failing(pool, work, "failing", True)
        failing(pool, 5)
        failing(pool)
    del job
    pool.submit(int).result()
    gc.collect()
    print("gone", gone() is None)
    print(pool.submit(work, "outside").result())
asyncio.run(asynchronous())
with multiprocessing.pool.ThreadPool(2) as threads:
    with tracer.start_as_current_span("thread pool"):
        print(threads.apply(work, ("applied",)), threads.apply_async(func=work, args=("async",)).get())
        print(threads.map(work, ["mapped"]), threads.starmap(work, [("star",)]))
        print(list(threads.imap(work, ["imap"])), list(threads.imap_unordered(work, ["unordered"], chunksize=2)))
    print(threads.apply(work, ("outside threads",)))
    threads.close()
    threads.join()
census("at the end")
