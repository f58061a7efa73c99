# SPDX-License-Identifier: Apache-2.0
"""decorate: `@pillion.span` around functions, coroutines, generators and async generators.

The wrapper is a function of the same kind as the one it wraps, with its name, signature and `__wrapped__`. The span of
a generator is current only while the generator's own body runs: whatever is current there is put away at each `yield`
and put back at each step, so its caller never sees it, and a close in another task or thread disturbs nothing.
"""

from __future__ import annotations

from pillion._native import attach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pillion._native import Remote, Scope, Span

GENERATOR, COROUTINE, ITERABLE_COROUTINE, ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200


def decorate(function: Any, scope: Scope) -> Any:
    """The function that stands in for `function`; a class, and what can't be called, is given back as it is."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(decorate(function.__func__, scope))
    if isinstance(function, type) or not callable(function):
        return function
    flags = _flags(function)
    if flags & ASYNC_GENERATOR:
        wrapper = _async_generator(function, scope)
    elif flags & COROUTINE:
        wrapper = _coroutine(function, scope)
    elif flags & GENERATOR and not flags & ITERABLE_COROUTINE:
        wrapper = _generator(function, scope)
    else:
        wrapper = _function(function, scope)
    return _as(wrapper, function)


def _flags(function: Any) -> int:
    """How the code was compiled; through functools.partial and bound methods."""
    for _ in range(100):
        inner = getattr(function, "func", None) if type(function).__name__ == "partial" else None
        inner = inner or getattr(function, "__func__", None)
        if inner is None:
            break
        function = inner
    code = getattr(function, "__code__", None)
    if code is None:  # an object with __call__
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004
    return getattr(code, "co_flags", 0)


def _as(wrapper: Any, function: Any) -> Any:
    """functools.update_wrapper, without its import."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__", "__annotations__"):
        value = getattr(function, name, None)
        if value is not None:
            setattr(wrapper, name, value)
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    wrapper.__wrapped__ = function
    return wrapper


def _function(function: Any, scope: Scope) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with scope.begin():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(function: Any, scope: Scope) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with scope.begin():
            return await function(*args, **kwargs)

    return wrapper


class _Body:
    """What is current inside a generator, and its span. `enter` and `leave` swap it with what is current outside."""

    __slots__ = ("inside", "outside", "span")

    def __init__(self, scope: Scope) -> None:
        self.span = scope.begin()
        self.inside: Span | Remote | None = self.span
        self.outside: Span | Remote | None = None

    def enter(self) -> None:
        self.outside = attach(self.inside)

    def leave(self) -> None:
        self.inside = attach(self.outside)
        self.outside = None

    def failed(self, error: BaseException) -> None:
        if not isinstance(error, GeneratorExit):
            self.span.exception(error)


def _generator(function: Any, scope: Scope) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        body, step, sent = _Body(scope), None, None
        try:
            generator = function(*args, **kwargs)
            while True:
                body.enter()
                try:
                    produced = generator.send(sent) if step is None else step(sent)
                finally:
                    body.leave()
                step, sent = None, None
                try:
                    sent = yield produced
                except GeneratorExit:
                    body.enter()
                    try:
                        generator.close()
                    finally:
                        body.leave()
                    raise
                except BaseException as error:
                    step, sent = generator.throw, error
        except StopIteration as end:
            return end.value
        except BaseException as error:
            body.failed(error)
            raise
        finally:
            step = sent = None
            body.span.end()

    return wrapper


def _async_generator(function: Any, scope: Scope) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        body, step, sent = _Body(scope), None, None
        try:
            generator = function(*args, **kwargs)
            while True:
                body.enter()
                try:
                    produced = await (generator.asend(sent) if step is None else step(sent))
                finally:
                    body.leave()
                step, sent = None, None
                try:
                    sent = yield produced
                except GeneratorExit:
                    body.enter()
                    try:
                        await generator.aclose()
                    finally:
                        body.leave()
                    raise
                except BaseException as error:
                    step, sent = generator.athrow, error
        except StopAsyncIteration:
            return
        except BaseException as error:
            body.failed(error)
            raise
        finally:
            step = sent = None
            body.span.end()

    return wrapper
