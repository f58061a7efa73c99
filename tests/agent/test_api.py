# SPDX-License-Identifier: Apache-2.0
"""api: pillion.span in all its forms, recorded in a real process, and the same program without pillion."""

from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pillion import _native, api

from tests.support.traced import AGENT, Traced, clean_environ

IMPORT = "from pillion.api import NOTHING, current_span, flush, set_attribute, span\n"

FORMS = (
    IMPORT
    + """
import asyncio

with span("block", {"order.id": 7}, amount=1.5, _kind="client") as current:
    set_attribute("late", True)
    current.event("half", {"n": 2})
    assert current_span() is current

@span("function", fixed="f")
def add(a, b=2):
    set_attribute("sum", a + b)
    return a + b

@span
def plain():
    return add(1)

@span("coroutine")
async def later():
    await asyncio.sleep(0)
    return add(3)

@span("generator")
def count(n):
    for i in range(n):
        add(i)
        yield i

@span("async generator")
async def acount(n):
    for i in range(n):
        await asyncio.sleep(0)
        add(i)
        yield i

@span("failing")
def fail():
    raise ValueError("no")

class Thing:
    @span("method")
    def method(self):
        return self

    @span("static")
    @staticmethod
    def static(x):
        return x

    @span("class")
    @classmethod
    def named(cls):
        return cls.__name__

async def main():
    async with span("async block"):
        return [await later(), [i async for i in acount(2)]]

print(plain(), list(count(2)), asyncio.run(main()), Thing().method().static(5), Thing.named())
try:
    fail()
except ValueError as error:
    print(repr(error))
print(current_span() is NOTHING)
"""
)


def test_every_form_is_recorded_and_the_program_prints_what_it_prints_without_pillion(traced: Traced) -> None:
    bare = traced.bare(FORMS, PYTHONPATH=str(AGENT))
    result = traced.run(FORMS)
    assert (result.code, result.out, result.err) == (bare.code, bare.out, bare.err) == (0, bare.out, "")
    sink = traced.sink
    sink.wait(lambda: len(sink.spans) == 16)
    (block,) = sink.named("block")
    assert block.attributes == {"order.id": 7, "amount": 1.5, "late": True}
    assert block.events == [("half", {"n": 2})] and block.kind == 3 and block.scope == "pillion.api"
    parents = {span.span_id: span.name for span in sink.spans}
    children = sorted((parents.get(span.parent_id, ""), span.attributes["sum"]) for span in sink.named("function"))
    assert children == [
        ("async generator", 2),
        ("async generator", 3),
        ("coroutine", 5),
        ("generator", 2),
        ("generator", 3),
        ("plain", 3),
    ]
    assert {parents[span.parent_id] for name in ("coroutine", "async generator") for span in sink.named(name)} == {
        "async block"
    }
    (failing,) = sink.named("failing")
    assert (failing.status, failing.message, failing.attributes) == (2, "no", {"error.type": "ValueError"})
    assert failing.events[0][0] == "exception" and failing.events[0][1]["exception.message"] == "no"
    assert all(span.status == 0 for span in sink.spans if span is not failing)


def test_without_a_native_module_everything_goes_on_and_does_nothing() -> None:
    code = "import sys; sys.modules['pillion._native'] = None\n" + FORMS + "\nassert flush()"
    code += "\nassert add.__name__ == 'add' and not hasattr(add, '__wrapped__')"
    result = subprocess.run(
        [sys.executable, "-c", code], env=clean_environ(PYTHONPATH=str(AGENT)), capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-2:] == ["ValueError('no')", "True"]


def test_nothing_takes_every_call_of_a_span_and_is_false() -> None:
    engines = ("family", "measure", "measured")
    missing = [
        n for n in dir(_native.Span) if not n.startswith("_") and n not in engines and not hasattr(api.NOTHING, n)
    ]
    assert missing == [] and not api.NOTHING
    api.NOTHING.set("a", 1)
    api.NOTHING.event("e", {}, time_ns=5)
    assert api.NOTHING.recording is False


async def coroutine(a: int, *, b: str = "x") -> int:
    """Doc."""
    return a


def generator(a: int) -> Iterator[int]:
    yield a


async def async_generator(a: int) -> AsyncIterator[int]:
    yield a


def function(a: int, /, *args: int, key: str = "k", **more: Any) -> int:
    return a


KINDS: list[Any] = [
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isfunction,
    asyncio.iscoroutinefunction,
]


@pytest.mark.parametrize("original", [coroutine, generator, async_generator, function])
def test_decorated_function_is_of_the_same_kind_and_signature(original: Any) -> None:
    original.mark = "kept"
    decorated: Any = api.span("x")(original)
    assert [kind(decorated) for kind in KINDS] == [kind(original) for kind in KINDS]
    assert inspect.signature(decorated) == inspect.signature(original)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__", "mark"):
        assert getattr(decorated, name) == getattr(original, name)
    assert decorated.__wrapped__ is original


def test_partial_of_a_coroutine_function_is_awaited_inside_the_span() -> None:
    seen = []

    async def body(a: int) -> int:
        await asyncio.sleep(0)
        seen.append(api.current_span())
        return a

    decorated: Any = api.span("x")(functools.partial(body, 5))
    assert asyncio.run(decorated()) == 5
    assert seen and seen[0]


def test_class_is_given_back_as_it_is() -> None:
    assert api.span("x")(Traced) is Traced


def test_caller_of_a_generator_never_sees_its_span() -> None:
    seen = []

    @api.span("outer")
    def numbers() -> Iterator[int]:
        with api.span("inner"):
            seen.append(api.current_span())
            yield 1
            seen.append(api.current_span())
            yield 2

    with api.span("caller") as caller:
        iterator: Any = numbers()
        assert next(iterator) == 1 and api.current_span() is caller
        assert next(iterator) == 2 and api.current_span() is caller
        iterator.close()
        assert api.current_span() is caller
    assert seen[0] is seen[1] and seen[0] and not api.current_span()


def test_generator_takes_what_is_sent_and_thrown_and_gives_its_result() -> None:
    @api.span("g")
    def echo() -> Any:
        sent = yield "first"
        try:
            yield sent
        except KeyError as error:
            thrown = error
        yield thrown
        return "result"

    iterator = echo()
    assert next(iterator) == "first" and iterator.send(5) == 5
    error = KeyError("k")
    assert iterator.throw(error) is error
    with pytest.raises(StopIteration) as end:
        next(iterator)
    assert end.value.value == "result"


def test_generator_that_swallows_its_close_raises_as_it_would_bare() -> None:
    @api.span("g")
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    iterator: Any = stubborn()
    next(iterator)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        iterator.close()


def test_async_generator_left_open_is_closed_by_another_task_without_harm() -> None:
    cleaned = []

    @api.span("ag")
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append(api.current_span())

    async def main() -> None:
        with api.span("caller") as caller:
            async for _ in numbers():
                break
            assert api.current_span() is caller

            for _ in range(9):  # the loop closes what was left open in a task of its own
                await asyncio.sleep(0)
            assert api.current_span() is caller

    asyncio.run(main())
    assert len(cleaned) == 1 and cleaned[0]


def test_async_generator_takes_asend_and_athrow() -> None:
    @api.span("ag")
    async def echo() -> Any:
        sent = yield "first"
        try:
            yield sent
        except KeyError:
            yield "caught"

    async def main() -> list[object]:
        iterator = echo()
        return [await iterator.asend(None), await iterator.asend(7), await iterator.athrow(KeyError("k"))]

    assert asyncio.run(main()) == ["first", 7, "caught"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_exceptions_go_through_unchanged(error: BaseException) -> None:
    @api.span("f")
    def raises() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        raises()
    assert caught.value is error and error.__cause__ is None and error.__context__ is None
    with pytest.raises(type(error)) as caught, api.span("b"):
        raise error
    assert caught.value is error


def test_one_scope_is_used_by_many_threads_and_within_itself() -> None:
    scope = api.span("shared")
    barrier = threading.Barrier(4)
    wrong: list[object] = []

    def work() -> None:
        for _ in range(200):
            barrier.wait()
            with scope as outer:
                with scope as inner:
                    if api.current_span() is not inner:
                        wrong.append(inner)
                if api.current_span() is not outer:
                    wrong.append(outer)
            if api.current_span():
                wrong.append("left")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class Hostile:
    """An object that fights back."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("name", ["", "é😀", "x" * 10_000, 5, None, b"bytes", "\udcff", "a\0b", Hostile()])
def test_any_name_is_taken(name: Any) -> None:
    with api.span(name) as span:
        span.set("k", "v")


@pytest.mark.parametrize(
    "value", [Hostile(), [Hostile()], float("nan"), 10**40, {"a": {}}, [1, "a", None], b"\xff", object]
)
def test_any_value_is_taken(value: Any) -> None:
    with api.span("x", value=value) as span:
        span.set("again", value)
        span.set_many({"m": value})
        span.event("e", {"v": value})
    span.set("after", value)


def test_span_in_a_child_process_after_fork_does_not_end_the_parents(traced: Traced) -> None:
    result = traced.run(
        IMPORT
        + """
import os
with span("parent"):
    child = os.fork()
    with span("in both"):
        pass
    if child == 0:
        flush(5)
        os._exit(0)
    os.waitpid(child, 0)
"""
    )
    assert (result.code, result.err) == (0, "")
    sink = traced.sink
    sink.wait(lambda: len(sink.spans) >= 3)
    assert sorted(span.name for span in sink.spans) == ["in both", "in both", "parent"]
    (parent,) = sink.named("parent")
    both = sink.named("in both")
    assert {span.parent_id for span in both} == {parent.span_id}
    assert len({span.span_id for span in both}) == 2
    assert len({span.resource["process.pid"] for span in both}) == 2
