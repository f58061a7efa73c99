# SPDX-License-Identifier: Apache-2.0
"""otel: OpenTelemetry's context and pillion's, kept in step, for an application that uses OpenTelemetry's API alone.

There is one truth about which span is current: the native one. When the API asks for its context it gets the one it
stored, with the native span in it; when the API attaches or detaches a context, the native span follows. Baggage goes
along. The application's provider is never set, so it can set its own. Called by hooks/opentelemetry.py, which is inside
the engine's containment, and loaded only where the application has loaded opentelemetry.trace.
"""

from __future__ import annotations

import sys

from pillion import guard, otel_baggage
from pillion._native import Remote, Span, attach, current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Union

    Native = Union[Span, Remote, None]

PAIRS_KEY = "pillion-pairs"  # in a context: the API's spans that may become current again, each with its native side
PAIRS_LIMIT = 16
NO_TRACE = "0" * 32


class Pairs(tuple):  # type: ignore[type-arg]
    """The value under PAIRS_KEY. A context that is copied or pickled leaves it behind."""

    def __reduce__(self) -> Any:
        return tuple, ()


class Bridge:
    """What is needed of the API, looked up once."""

    def __init__(self, trace: Any) -> None:
        from pillion import otel_span

        self.trace = trace
        self.api = sys.modules["opentelemetry.context"]
        self.Context: Any = sys.modules["opentelemetry.context.context"].Context
        self.span_key: str = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, self.Context())))
        self.raw_current, self.raw_attach = self._runtime()
        self.Span: Any = type("Span", (otel_span.SpanMethods, trace.Span), {"_bridge": self})
        self.Tracer: Any = type("Tracer", (otel_span.TracerMethods, trace.Tracer), {"_bridge": self})

    def _runtime(self) -> tuple[Callable[[], Any], Callable[[Any], object]]:
        """How the API's own store of the current context is read and set, past what the hook does around it."""
        if self.api._RUNTIME_CONTEXT is None:  # old versions load it with the first use
            self.api.get_current()
        runtime: Any = self.api._RUNTIME_CONTEXT
        variable: Any = getattr(runtime, "_current_context", None)
        if hasattr(variable, "get") and hasattr(variable, "set"):
            return variable.get, variable.set
        read, attach = type(runtime).get_current, type(runtime).attach
        read, attach = (getattr(each, "pillion_original", each) for each in (read, attach))
        return (lambda: read(runtime)), (lambda context: attach(runtime, context))

    # --- one span, as either side sees it

    def span_context(self, native: Span | Remote) -> Any:
        state = native.tracestate
        return self.trace.SpanContext(
            int(native.trace_id, 16),
            int(native.span_id, 16),
            isinstance(native, Remote),
            self.trace.TraceFlags(native.flags),
            self.trace.TraceState.from_header([state]) if state else None,
        )

    def remote(self, span: Any, baggage: str | None = None) -> Remote | None:
        """What stands for a span of the API that isn't ours: a parent, if it is a valid one."""
        found = span.get_span_context() if isinstance(span, self.trace.Span) else None
        if found is None or not found.is_valid:
            return Remote(baggage=baggage) if baggage else None
        parent = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags & 3:02x}"
        return Remote(parent, found.trace_state.to_header() if found.trace_state else None, baggage)

    def native(self, context: Any) -> Native:
        """The native side of a context's span."""
        span = context.get(self.span_key)
        if type(span) is self.Span:
            native: Span = span._native
            return native
        for known, its_native in context.get(PAIRS_KEY, ()):
            if known is span:
                found: Native = its_native
                return found
        return self.remote(span, otel_baggage.out_of(context, None))

    # --- the three operations on contexts

    def synced(self, stored: Any) -> Any:
        """The stored context, with the native span as its span. The same object where it has it already."""
        now, span, pairs = current(), stored.get(self.span_key), stored.get(PAIRS_KEY, ())
        if type(span) is self.Span:
            if span._native is now:
                return stored
            pairs = ((span, span._native), *pairs)
        before = next((native for known, native in pairs[:1] if known is span), None)
        if before is now:
            return stored
        span = next((known for known, native in pairs if native is now), None) or self.span_of(now)
        older = [pair for pair in pairs if pair[1] is not now and not getattr(pair[1], "ended", False)]
        changed = {**stored, self.span_key: span, PAIRS_KEY: Pairs(((span, now), *older[: PAIRS_LIMIT - 1]))}
        otel_baggage.into(changed, now, before)
        return self.Context(changed)

    def span_of(self, native: Native) -> Any:
        """The API's span for a native one; None: there's none to show."""
        if isinstance(native, Span):
            return self.Span(native)
        if native is None or native.trace_id == NO_TRACE:
            return None
        return self.trace.NonRecordingSpan(self.span_context(native))

    def current_context(self, stored: Any) -> Any:
        """What get_current() is to give. It's stored too, so that the next one gives the same objects."""
        found = self.synced(stored)
        if found is not stored:
            self.raw_attach(found)
        return found

    def attached(self, context: Any) -> None:
        """The API has attached a context."""
        native = self.native(context)
        if native is not None and not isinstance(native, Span):  # keep what stands for a span that isn't ours
            span, pairs = context.get(self.span_key), context.get(PAIRS_KEY, ())
            if not pairs or pairs[0][0] is not span:
                pairs = ((span, native), *pairs[: PAIRS_LIMIT - 1])
                self.raw_attach(self.Context({**context, PAIRS_KEY: Pairs(pairs)}))
        self.follow(native, context)

    def detached(self) -> None:
        """The API has gone back to an older context."""
        context = self.raw_current()
        native = self.native(context)
        if getattr(native, "ended", False):  # nothing may begin under it; what is open stays
            now = current()
            attach(None if getattr(now, "ended", False) else now)
        else:
            self.follow(native, context)

    def follow(self, native: Native, context: Any) -> None:
        """Makes the native span current, with the baggage of the context."""
        attach(native)
        if isinstance(native, Span):
            had = native.baggage
            baggage = otel_baggage.out_of(context, had)
            if baggage != had:
                native.baggage = baggage


_bridge: Bridge | None = None


def bridge() -> Bridge | None:
    """The one bridge; None as long as opentelemetry.trace isn't there, or not yet executed to its end."""
    global _bridge
    if _bridge is None:
        trace = sys.modules.get("opentelemetry.trace")
        spec = getattr(trace, "__spec__", None)
        if trace is None or getattr(spec, "_initializing", False):
            return None
        _bridge = Bridge(trace)
        notice_provider()  # one that was set before our time
    return _bridge


def give_tracer(proxy: Any) -> None:
    """Has a tracer of the API, which waits for a provider, make native spans until one comes."""
    made = bridge()
    if made is None or not hasattr(proxy, "_noop_tracer"):
        guard.log("opentelemetry: this version of the API has no tracer to stand in for")
        return
    names = ("_instrumenting_module_name", "_instrumenting_library_version", "_schema_url")
    proxy._noop_tracer = made.Tracer(*(getattr(proxy, name, None) for name in names))


def notice_provider() -> None:
    """Where the application brings its own tracing, pillion stands down: nothing is traced twice."""
    trace: Any = sys.modules["opentelemetry.trace"]
    provider = getattr(trace, "_TRACER_PROVIDER", None)
    if provider is None or isinstance(provider, (trace.NoOpTracerProvider, trace.ProxyTracerProvider)):
        return
    from pillion import start

    kind = f"{type(provider).__module__}.{type(provider).__qualname__}"
    start.stand_down(f"the application has an OpenTelemetry provider of its own ({kind})")
