# SPDX-License-Identifier: Apache-2.0
"""anyio on either backend, and trio itself: task groups, cancel scopes, worker threads and the way back from them."""

from __future__ import annotations

import contextlib
import sys

import anyio
import anyio.from_thread
import anyio.to_thread
import trio
from census import census
from opentelemetry import trace

tracer = trace.get_tracer("nurseries")


async def step(name: str, seconds: float = 0) -> str:
    with tracer.start_as_current_span(name):
        await anyio.sleep(seconds)
        return name


def in_thread(name: str) -> str:
    with tracer.start_as_current_span(name):
        return anyio.from_thread.run(step, f"back from {name}")


async def numbers():
    with tracer.start_as_current_span("generator"):
        for number in range(3):
            await step(f"number {number}")
            yield number


async def consumer() -> None:
    with tracer.start_as_current_span("consumer"):
        async with contextlib.aclosing(numbers()) as generator:
            async for _ in generator:
                break
        await step("after the generator")


async def main() -> None:
    with tracer.start_as_current_span("group"):
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(step, f"child {number}", 0.01)
            print(await anyio.to_thread.run_sync(in_thread, "thread"))
        with anyio.move_on_after(0.01) as scope:
            await step("cancelled", 30)
        print("cancelled", scope.cancelled_caught)
    await anyio.to_thread.run_sync(in_thread, "unrelated")
    await consumer()


async def pure() -> None:
    with tracer.start_as_current_span("nursery"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio_step, "in the nursery")
            await trio.to_thread.run_sync(trio_thread)


async def trio_step(name: str) -> None:
    with tracer.start_as_current_span(name):
        await trio.sleep(0)


def trio_thread() -> None:
    with tracer.start_as_current_span("trio thread"):
        trio.from_thread.run(trio_step, "back in trio")


anyio.run(main, backend=sys.argv[1])
with anyio.from_thread.start_blocking_portal(sys.argv[1]) as portal, tracer.start_as_current_span("portal"):
    print(portal.call(step, "through the portal"))
trio.run(pure)
if sys.argv[1] == "asyncio":  # trio keeps its threads for a while
    census("at the end")
