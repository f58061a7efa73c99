# SPDX-License-Identifier: Apache-2.0
"""patch_async: wrappers for coroutine functions, generators and async generators.

They are real Python functions of the same kind, so whatever asks `iscoroutinefunction` gets the answer it got before.
The span is current while the body runs and not while it's suspended, so a generator that is closed late, or in another
context, takes nothing with it.
"""

from __future__ import annotations

from pillion import guard, patch
from pillion._native import Call, Span, attach, begin, current, detach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pillion.patch import Target

_ASYNC_GENERATOR, _COROUTINE = 0x200, 0x80
HOOK_ERRORS = 10  # then the hook is switched off, as in native/module_wrap.c
_COPIED = ("__module__", "__name__", "__qualname__", "__doc__", "__defaults__", "__kwdefaults__", "__annotations__")


def wrap(original: Any, target: Target, scope: str, flags: int) -> Any:
    """A function of the same kind as `original` with a span around each of its runs."""
    make = _async_generator if flags & _ASYNC_GENERATOR else _coroutine if flags & _COROUTINE else _generator
    wrapper = make(original, target, scope)
    for name in _COPIED:  # defaults too: the wrapper has no parameters of its own that they could be of
        setattr(wrapper, name, getattr(original, name))
    wrapper.__dict__.update(original.__dict__)
    wrapper.__wrapped__ = original
    wrapper.pillion_disabled = False
    wrapper.pillion_errors = 0
    return wrapper


def _failed(wrapper: Any, where: object, error: BaseException) -> None:
    """Counts an error of the hook; with too many it's switched off. No fault of it: stack or memory are used up."""
    guard.report(where, error)
    wrapper.pillion_errors += not isinstance(error, (RecursionError, MemoryError))
    if wrapper.pillion_errors >= HOOK_ERRORS:
        wrapper.pillion_disabled = True


def _open(wrapper: Any, target: Target, scope: str, call: Call) -> Span | None:
    """The span of this call, begun and not yet current; None: no span."""
    if wrapper.pillion_disabled:
        return None
    try:
        if patch.stands_aside(current(), target.family):
            return None
        described = target.describe(call) if target.describe else None
        if described is None:
            return None
        name, attributes = described if isinstance(described, tuple) else (described, None)
        parent = call.parent
        span = begin(name, target.kind, scope) if parent is None else begin(name, target.kind, scope, parent)
        span.family = target.family
        span.measure()
        if attributes:
            span.set_many(attributes)
        call.span = span
        return span
    except Exception as error:
        _failed(wrapper, target.describe, error)
        return None


def _close(wrapper: Any, span: Span, target: Target, call: Call, result: Any, error: BaseException | None) -> None:
    try:
        if error is not None:
            if not isinstance(error, GeneratorExit):
                span.exception(error)
                attributes = target.failed(call, error) if target.failed else None
            else:
                attributes = None
        else:
            attributes = target.conclude(call, result) if target.conclude else None
        if attributes:
            span.set_many(attributes)
    except Exception as failure:
        _failed(wrapper, target.conclude, failure)
    span.end()


def _leave(error: BaseException, wrapper: Any) -> None:
    """Takes the wrapper's frame off the traceback before a bare `raise`, which adds none. (CPython < 3.11 keeps it.)"""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is wrapper.__code__:
        trace = trace.tb_next
    error.__traceback__ = trace


def _coroutine(original: Any, target: Target, scope: str) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = Call(*args, **kwargs)
        span = _open(wrapper, target, scope, call)
        previous = attach(span) if span is not None else None
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            _leave(error, wrapper)
            if span is not None:
                detach(span, previous)
                _close(wrapper, span, target, call, None, error)
            raise
        if span is not None:
            detach(span, previous)
            _close(wrapper, span, target, call, result, None)
        return result

    return wrapper


def _generator(original: Any, target: Target, scope: str) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = Call(*args, **kwargs)
        span = _open(wrapper, target, scope, call)
        if span is None:
            try:
                return (yield from original(*args, **kwargs))
            except BaseException as error:
                _leave(error, wrapper)
                raise
        body = original(*args, **kwargs)
        step, value = body.send, None
        while True:
            previous = attach(span)
            try:
                produced = step(value)
            except StopIteration as end:
                detach(span, previous)
                _close(wrapper, span, target, call, end.value, None)
                return end.value
            except BaseException as error:
                _leave(error, wrapper)
                detach(span, previous)
                _close(wrapper, span, target, call, None, error)
                raise
            detach(span, previous)
            try:
                value = yield produced
                step = body.send
            except GeneratorExit as error:
                try:
                    body.close()
                finally:
                    _close(wrapper, span, target, call, None, error)
                raise
            except BaseException as error:
                _leave(error, wrapper)
                step, value = body.throw, error

    return wrapper


def _async_generator(original: Any, target: Target, scope: str) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = Call(*args, **kwargs)
        span = _open(wrapper, target, scope, call)
        body = original(*args, **kwargs)
        step, value = body.asend, None
        while True:
            previous = attach(span) if span is not None else None
            try:
                produced = await step(value)
            except StopAsyncIteration:
                if span is not None:
                    detach(span, previous)
                    _close(wrapper, span, target, call, None, None)
                return
            except BaseException as error:
                _leave(error, wrapper)
                if span is not None:
                    detach(span, previous)
                    _close(wrapper, span, target, call, None, error)
                raise
            if span is not None:
                detach(span, previous)
            try:
                value = yield produced
                step = body.asend
            except GeneratorExit as error:
                try:
                    await body.aclose()
                finally:
                    if span is not None:
                        _close(wrapper, span, target, call, None, error)
                raise
            except BaseException as error:
                _leave(error, wrapper)
                step, value = body.athrow, error

    return wrapper
