# SPDX-License-Identifier: Apache-2.0
"""otel_span: OpenTelemetry's Span and Tracer, made of a native span.

Mixed into classes derived from the API's own (otel.Bridge), so that isinstance says what an application expects. The
methods have the API's signatures; what is passed to them wrongly is ignored, as the API's no-op span ignores it.
"""

from __future__ import annotations

from pillion import api, guard, otel_baggage
from pillion._native import Span, attach, begin, detach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Iterable, Mapping

    from pillion.otel import Bridge

OK, ERROR = 1, 2


def _ns(time: object) -> int:
    """A time in nanoseconds; 0, which means now, for anything else."""
    return int(time) if isinstance(time, (int, float)) and 0 < time < 2**63 else 0


class SpanMethods:
    """A native span with the methods of the API's Span."""

    _bridge: Bridge

    def __init__(self, native: Span, record_exception: bool = True, set_status: bool = True) -> None:
        self._native = native
        self._context: Any = None
        self._record = record_exception
        self._set_status = set_status
        self._status = 0

    def get_span_context(self) -> Any:
        if self._context is None:
            self._context = self._bridge.span_context(self._native)
        return self._context

    def is_recording(self) -> bool:
        return self._native.recording

    def set_attribute(self, key: str, value: object) -> None:
        self._native.set(key, value)

    def set_attributes(self, attributes: Mapping[str, object]) -> None:
        self._native.set_many(attributes)

    def update_name(self, name: str) -> None:
        self._native.name(name)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._native.event(api.text(name), attributes, _ns(timestamp))

    def add_link(self, context: Any, attributes: Any = None) -> None:
        if context is not None and getattr(context, "is_valid", False):
            state = context.trace_state.to_header() if context.trace_state else None
            ids = f"{context.trace_id:032x}", f"{context.span_id:016x}"
            self._native.link(*ids, attributes, context.trace_flags & 0xFF, state or None)

    def set_status(self, status: Any, description: str | None = None) -> None:
        code = getattr(status, "status_code", status)
        number = getattr(code, "value", 0)
        if self._status == OK or number not in (OK, ERROR):  # OK is final, and nothing goes back to unset
            return
        message = getattr(status, "description", None) if code is not status else description
        self._status = number
        self._native.status(number, message if number == ERROR else None)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        if not attributes and not timestamp:
            self._native.exception(exception, False)
        elif isinstance(exception, BaseException) and self._native.recording:
            self._native.event("exception", {**_described(exception), **(attributes or {})}, _ns(timestamp))

    def end(self, end_time: int | None = None) -> None:
        self._native.end(_ns(end_time))

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._raised(error)
        self.end()

    def __reduce__(self) -> Any:
        return self._bridge.trace.NonRecordingSpan, (self.get_span_context(),)

    def _raised(self, error: BaseException | None) -> None:
        """An exception went through; only a real one counts, not GeneratorExit and the like."""
        if not isinstance(error, Exception):
            return
        sets = self._set_status and self._status == 0
        if self._record:
            self._native.exception(error, sets)
        elif sets:
            self._native.status(ERROR, error)


def _described(error: BaseException) -> dict[str, object]:
    """For the rare call that brings attributes or a time of its own."""
    import traceback

    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    stack = "".join(traceback.format_exception(kind, error, error.__traceback__))
    return {"exception.type": name, "exception.message": str(error), "exception.stacktrace": stack}


class Current:
    """`with tracer.start_as_current_span(...)`: leaving it can't fail, whichever thread or task does so."""

    __slots__ = ("bridge", "context", "end", "previous", "span", "stored")

    def __init__(self, bridge: Bridge, span: Any, end: bool) -> None:
        self.bridge = bridge
        self.span = span
        self.end = end
        self.context: Any = None

    def __enter__(self) -> Any:
        bridge = self.bridge
        try:
            self.stored = bridge.synced(bridge.raw_current())
            self.context = bridge.Context({**self.stored, bridge.span_key: self.span})
            bridge.raw_attach(self.context)
        except Exception as error:
            guard.report("opentelemetry.start_as_current_span", error)
        self.previous = attach(self.span._native)
        return self.span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        detach(self.span._native, self.previous)
        try:
            if self.context is not None and self.bridge.raw_current() is self.context:
                self.bridge.raw_attach(self.stored)
        except Exception as failure:
            guard.report("opentelemetry.start_as_current_span", failure)
        self.span._raised(error)
        if self.end:
            self.span.end()


class TracerMethods:
    """A tracer of the API whose spans are native ones, under its own instrumentation scope."""

    _bridge: Bridge

    def __init__(self, name: object, version: object = None, schema_url: object = None) -> None:
        parts = [str(part or "") for part in (name, version, schema_url)]
        self._scope = "\0".join(parts).rstrip("\0") or "opentelemetry"

    def __reduce__(self) -> Any:
        return self._bridge.trace.NoOpTracer, ()

    def start_span(
        self,
        name: str,
        context: Any = None,
        kind: Any = None,
        attributes: Any = None,
        links: Iterable[Any] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Any:
        number = getattr(kind, "value", 0)
        number = number + 1 if isinstance(number, int) else 1
        name = api.text(name)
        if context is None:
            native = begin(name, number, self._scope, ..., _ns(start_time))  # type: ignore[arg-type]
        else:
            native = self._begin_in(context, name, number, _ns(start_time))
        if attributes:
            native.set_many(attributes)
        span = self._bridge.Span(native, record_exception, set_status_on_exception)
        for link in links or ():
            span.add_link(getattr(link, "context", None), getattr(link, "attributes", None))
        return span

    def _begin_in(self, context: Any, name: str, kind: int, start_ns: int) -> Span:
        """A span whose parent and baggage are a context's."""
        try:
            native = begin(name, kind, self._scope, self._bridge.native(context), start_ns)
            native.baggage = otel_baggage.out_of(context, native.baggage)
            return native
        except Exception as error:  # no context of the API's
            guard.report("opentelemetry.start_span", error)
            return begin(name, kind, self._scope, None, start_ns)

    def start_as_current_span(
        self,
        name: str,
        context: Any = None,
        kind: Any = None,
        attributes: Any = None,
        links: Iterable[Any] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Current:
        span = self.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        return Current(self._bridge, span, end_on_exit)
