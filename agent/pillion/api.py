# SPDX-License-Identifier: Apache-2.0
"""api: what an application may call itself: `pillion.span`, `pillion.current_span`, `pillion.set_attribute`.

The same calls work in a process without pillion: then a decorator gives the function back as it was, `with` does
nothing, and the span is `NOTHING`, which takes everything and keeps nothing. No call here raises because of pillion.
`span` itself is C (native/module_scope.c); here is what it looks like where there is no native module.
"""

from __future__ import annotations

try:
    from pillion import _native
except ImportError:  # no module for this Python, or none wanted
    _native = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Mapping, TypeVar, overload

    from pillion._native import Scope, Span

    F = TypeVar("F", bound=Callable[..., Any])


class Nothing:
    """A span that isn't one."""

    __slots__ = ()
    trace_id, span_id, flags, kind = "0" * 32, "0" * 16, 0, 1
    recording, ended, tracestate, baggage = False, True, None, None

    def _nothing(self, *args: object, **kwargs: object) -> None:
        return None

    set = set_many = name = status = event = link = exception = end = _nothing

    def __bool__(self) -> bool:
        return False


NOTHING = Nothing()


class NoScope:
    """What `span()` gives without a native module."""

    __slots__ = ()

    def __enter__(self) -> Nothing:
        return NOTHING

    def __exit__(self, *error: object) -> None:
        return None

    async def __aenter__(self) -> Nothing:
        return NOTHING

    async def __aexit__(self, *error: object) -> None:
        return None

    def __call__(self, function: F) -> F:
        return function


def _no_span(name: Any, attributes: Any = None, /, *, _kind: str = "internal", **more: object) -> Any:
    return name if callable(name) and not isinstance(name, str) else NoScope()


def unusual(name: object) -> Any:
    """Called by the native `span` for a name that is no str: `@pillion.span` alone decorates a function."""
    if callable(name):
        return span(getattr(name, "__qualname__", type(name).__qualname__))(name)
    return text(name)


def text(name: object) -> str:
    """What is meant to be a name, as text: of any other object too, even of one that fights back."""
    try:
        return name if isinstance(name, str) else str(name)
    except Exception:
        return type(name).__name__


async def _enter(scope: Scope) -> Span:
    return scope.__enter__()


async def _exit(
    scope: Scope, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
) -> None:
    scope.__exit__(kind, error, traceback)


if TYPE_CHECKING:

    @overload
    def span(name: F, /) -> F: ...
    @overload
    def span(
        name: str, attributes: Mapping[str, object] | None = None, /, *, _kind: str = ..., **more: object
    ) -> Scope: ...
    def span(name: Any, attributes: Any = None, /, *, _kind: str = "internal", **more: object) -> Any:
        """A span around a `with` block, or around each call of a function.

        with pillion.span("charge", amount=5) as span: ...
        @pillion.span("charge")  or  @pillion.span, which takes the function's own name

        Attributes whose names are no Python names go into a mapping: pillion.span("charge", {"order.id": 7}). `_kind`
        is internal, server, client, producer or consumer. What is raised inside is recorded and goes on unchanged.
        """

elif _native is None:
    span = _no_span
else:
    span = _native.span
    _native.set_type_attribute(_native.Scope, "__aenter__", _enter)
    _native.set_type_attribute(_native.Scope, "__aexit__", _exit)


def current_span() -> Span:
    """The span that is open here and now; without one, a `NOTHING` that takes the same calls and is false."""
    found = _native.current() if _native is not None else None
    return found if _native is not None and isinstance(found, _native.Span) else NOTHING  # type: ignore[return-value]


def set_attribute(key: str, value: object) -> None:
    """Sets an attribute of the span that is open here and now."""
    current_span().set(key, value)


def flush(seconds: float = 5.0) -> bool:
    """Waits until everything recorded so far has reached the collector; false: it hasn't in that time."""
    return _native.flush(seconds) if _native is not None else True
