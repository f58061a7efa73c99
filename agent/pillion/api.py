# SPDX-License-Identifier: Apache-2.0
"""api: what an application may call itself: `pillion.span`, `pillion.current_span`, `pillion.set_attribute`.

The same calls work in a process without pillion: then a decorator gives the function back as it was, `with` does
nothing, and the span is `NOTHING`, which takes everything and keeps nothing. No call here raises because of pillion.
"""

from __future__ import annotations

try:
    from pillion import _native
except ImportError:  # no module for this Python, or none wanted
    _native = None  # type: ignore[assignment]
else:
    _begin, _current = _native.begin, _native.current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Mapping, TypeVar, overload

    from pillion._native import Span

    F = TypeVar("F", bound=Callable[..., Any])

SCOPE = "pillion.api"
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}


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


class Scope:
    """What `span()` gives: for `with`, for `async with`, and as a decorator. One object may be used many times."""

    __slots__ = ("_attributes", "_kind", "_name", "_open")

    def __init__(self, name: str, kind: int, attributes: Mapping[str, object]) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._open: list[Span] = []

    def begin(self) -> Span:
        """A new span, not current yet."""
        span = _begin(self._name, self._kind, SCOPE)
        if self._attributes:
            span.set_many(self._attributes)
        return span

    def __enter__(self) -> Span:
        if _native is None:
            return NOTHING  # type: ignore[return-value, unused-ignore]
        span = _begin(self._name, self._kind, SCOPE)
        if self._attributes:
            span.set_many(self._attributes)
        self._open.append(span)
        return span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if _native is None:
            return
        span = _current()  # threads and tasks may share this object: leave what was entered here
        try:
            self._open.remove(span)  # type: ignore[arg-type]
        except ValueError:  # something else is current: it was left out of order
            if not self._open:
                return
            span = self._open.pop()
        span.__exit__(kind, error, traceback)  # type: ignore[union-attr]

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        if _native is None or not (callable(function) or isinstance(function, (classmethod, staticmethod))):
            return function
        from pillion import decorate

        decorated: F = decorate.decorate(function, self)
        return decorated


if TYPE_CHECKING:

    @overload
    def span(name: F, /) -> F: ...
    @overload
    def span(
        name: str, attributes: Mapping[str, object] | None = None, /, *, _kind: str = ..., **more: object
    ) -> Scope: ...


def span(name: Any, attributes: Any = None, /, *, _kind: str = "internal", **more: Any) -> Any:
    """A span around a `with` block, or around each call of a function.

    with pillion.span("charge", amount=5) as span: ...
    @pillion.span("charge")  or  @pillion.span, which takes the function's own name

    Attributes whose names are no Python names go into a mapping: pillion.span("charge", {"order.id": 7}). `_kind` is
    internal, server, client, producer or consumer. What is raised inside is recorded and goes on unchanged.
    """
    if name.__class__ is str and not attributes:  # the usual case first: it's on the hot path
        return Scope(name, KINDS.get(_kind, 1), more)
    if not isinstance(name, str) and callable(name):
        return Scope(getattr(name, "__qualname__", type(name).__qualname__), 1, {})(name)
    if attributes:
        more = {**attributes, **more}
    return Scope(text(name), KINDS.get(_kind, 1), more)


def text(name: object) -> str:
    """What is meant to be a name, as text: of any other object too, even of one that fights back."""
    try:
        return name if isinstance(name, str) else str(name)
    except Exception:
        return type(name).__name__


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
