# SPDX-License-Identifier: Apache-2.0
"""asyncio: tasks, groups, cancellation, timeouts, and async generators that are left early and closed by somebody else.

What is current is asked after each of them; a generator that was left must take its span along.
"""

from __future__ import annotations

import asyncio
import gc
import logging

from census import census
from opentelemetry import trace

logging.basicConfig(format="%(levelname)s %(name)s %(message)s")  # whoever complains is heard
logging.getLogger("opentelemetry.context").disabled = True  # but the API of its own tokens, when nobody is beside it
tracer = trace.get_tracer("coroutines")


async def step(name: str, seconds: float = 0) -> str:
    with tracer.start_as_current_span(name):
        await asyncio.sleep(seconds)
        return name


async def numbers(name: str):
    """Its span is open while it is suspended, as anybody would write it."""
    with tracer.start_as_current_span(f"generator {name}"):
        try:
            for number in range(3):
                await step(f"number {name}")
                yield number
        finally:
            await step(f"cleanup {name}")


async def left_early(name: str, close: bool) -> None:
    """Takes one number and goes on with other work."""
    with tracer.start_as_current_span(f"caller {name}"):
        generator = numbers(name)
        async for number in generator:
            print(name, number)
            break
        if close:
            await asyncio.create_task(generator.aclose())  # in another context
        del generator
        gc.collect()  # the loop closes it now, in a task of its own
        await asyncio.sleep(0.01)
        await step(f"after {name}")


async def cancelled() -> None:
    with tracer.start_as_current_span("cancelling"):
        task = asyncio.create_task(step("cancelled", 30))
        await asyncio.sleep(0)
        task.cancel()
        print(await asyncio.gather(task, return_exceptions=True))
        try:
            await asyncio.wait_for(step("timed out", 30), 0.01)
        except TimeoutError:
            print("timeout")


async def grouped() -> None:
    async def failing() -> None:
        await step("failing sibling")
        raise ValueError("one of the group")

    with tracer.start_as_current_span("group"):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(step("sibling", 30))
                group.create_task(failing())
        except ExceptionGroup as errors:
            print(errors, errors.exceptions)
        await step("after group")


async def detached() -> asyncio.Task:
    with tracer.start_as_current_span("spawner"):
        return asyncio.create_task(step("spawned", 0.01))


async def main() -> None:
    with tracer.start_as_current_span("gathering"):
        print(await asyncio.gather(*(step(f"gathered {n}") for n in range(3))))
    await (await detached())
    await left_early("closed", close=True)
    await left_early("collected", close=False)
    await cancelled()
    await grouped()
    await step("root")
    loop = asyncio.get_running_loop()
    with tracer.start_as_current_span("callbacks"):
        done = loop.create_future()
        loop.call_soon(lambda: tracer.start_span("soon").end())
        loop.call_later(0.01, lambda: (tracer.start_span("later").end(), done.set_result(None)))
    await done
    left = numbers("at shutdown")
    await anext(left)
    globals()["left"] = left


asyncio.run(main(), debug=True)
census("at the end")
