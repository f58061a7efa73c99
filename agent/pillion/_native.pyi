# SPDX-License-Identifier: Apache-2.0
# The Python/C boundary (native/module*.c). Times are integer nanoseconds since the Unix epoch; kinds are 1 INTERNAL,
# 2 SERVER, 3 CLIENT, 4 PRODUCER, 5 CONSUMER. Nothing here waits, but for stop and flush with their seconds.
from types import TracebackType
from typing import Any, Callable, Mapping, Sequence, TypeVar, final

_Function = TypeVar("_Function", bound=Callable[..., Any])

@final
class Span:
    """One operation while it is recorded. Calls after end() do nothing; values that can't be sent become their text."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits
    recording: bool  # sampled and not ended
    flags: int  # W3C trace flags
    kind: int
    tracestate: str | None
    baggage: str | None  # the header's text, inherited; on the current span it's set in this context only
    ended: bool
    measured: bool  # it will count in a metric, sampled or not
    family: int  # patch.FAMILIES; 0: none
    def set(self, key: str, value: object, /) -> None: ...
    def set_many(self, attributes: Mapping[str, object], /) -> None: ...
    def name(self, name: str, /) -> None: ...
    def status(self, code: int, message: object = None, /) -> None: ...
    def event(self, name: str, attributes: Mapping[str, object] | None = None, time_ns: int = 0) -> None: ...
    def link(
        self,
        trace_id: str,
        span_id: str,
        attributes: Mapping[str, object] | None = None,
        flags: int = 1,
        tracestate: str | None = None,
    ) -> None: ...
    def exception(self, exception: BaseException, status: bool = True) -> None: ...
    def measure(self) -> None: ...  # count it in the metric of its kind and family
    def end(self, end_ns: int | None = 0, /) -> None: ...
    def __enter__(self) -> Span: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@final
class Remote:
    """A parent that came over the wire. Raises ValueError where neither header is valid."""

    trace_id: str  # all zero: only a baggage came
    span_id: str
    flags: int
    tracestate: str | None
    baggage: str | None
    def __init__(
        self, traceparent: str | None = None, tracestate: str | None = None, baggage: str | None = None
    ) -> None: ...

@final
class Scope:
    """What span() gives. `with` and `async with` begin a span each time; called, it decorates a function."""

    def begin(self) -> Span: ...
    def __enter__(self) -> Span: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
    async def __aenter__(self) -> Span: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
    def __call__(self, function: _Function, /) -> _Function: ...

@final
class Queries:
    """A hook's describe for functions that take a query's text: what make(text, parameterised) gave once is kept.

    `text` and `parameters` say where in the call they are: index and name. Without `parameters`: never given."""

    def __init__(
        self,
        make: Callable[[str, bool], tuple[str, Mapping[str, object]] | None],
        text: tuple[int, str],
        parameters: tuple[int, str] = ...,
        /,
    ) -> None: ...
    def __call__(self, call: Call, /) -> tuple[str, Mapping[str, object]] | None: ...

@final
class Call:
    """One call of a hooked function, as describe and conclude see it."""

    args: tuple[Any, ...]  # self included
    kwargs: dict[str, Any]
    span: Span | None  # the call's own; for OBSERVE and REPLACE the current one
    entry: Span | None  # the open SERVER or CONSUMER span around it
    parent: Span | Remote | None  # set by describe: the span's parent in place of the current span
    state: Any  # the hook's own
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def get(self, index: int, name: str, default: object = None, /) -> Any: ...

@final
class Wrapper:
    """The callable in a library's place of a function: patch.py's."""

    pillion_original: Any
    pillion_disabled: bool
    pillion_calls: int
    pillion_errors: int
    def __init__(
        self,
        original: Any,
        kind: int,
        scope: str,
        describe: Callable[[Call], Any] | None = None,
        conclude: Callable[[Call, Any], Any] | None = None,
        failed: Callable[[Call, BaseException], Any] | None = None,
        family: int = 0,
        measured: Callable[[Call], Any] | tuple[int, str] | None = None,
    ) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def start(
    *,
    resource: dict[str, str | int],
    instance_id: bytes,
    instance_is_ours: bool,
    version: str,
    target: str | None,
    headers: Sequence[tuple[str, str]],
    ring_directory: str | None,
    ring_left: bool,
    ring_bytes: int,
    rings_bytes: int,
    interval_ns: int,
    timeout_ns: int,
    metrics_interval_ns: int,
    traces: bool,
    sampler: str,
    ratio: float,
    limits: dict[str, int],
    propagate_trace: bool,
    propagate_baggage: bool,
    capture_query: bool,
) -> None: ...
def stop(seconds: float = 0.5, /) -> None: ...
def flush(seconds: float = 5, /) -> bool: ...
def stats() -> dict[str, Any]: ...
def begin(
    name: str, kind: int = 1, scope: str | None = None, parent: Span | Remote | None = ..., start_ns: int = 0, /
) -> Span: ...
def span(name: str, attributes: Mapping[str, object] | None = None, /, **more: object) -> Scope: ...
def current() -> Span | Remote | None: ...
def attach(span: Span | Remote | None, /) -> Span | Remote | None: ...
def detach(span: Span | Remote | None, previous: Span | Remote | None, /) -> None: ...
def extract_environ(environ: Mapping[str, Any], /) -> Remote | None: ...
def extract(headers: Mapping[str, str], /) -> Remote | None: ...
def inject(span: Span | Remote | None = None, /) -> list[tuple[str, str]]: ...
def measures() -> bool: ...  # metrics are on
def inject_lines(lines: list[bytes], span: Span | Remote | None = None, /) -> None: ...
def sql(text: str, parameterised: bool, /) -> tuple[str, str | None, str | None, str | None]: ...
def gc_callback(phase: str, info: Mapping[str, int], /) -> None: ...
def eventloop_lag(seconds: float, /) -> None: ...
def set_tick(callable: Callable[[], object] | None, /) -> None: ...
def set_report(callable: Callable[[object, BaseException], object] | None, /) -> None: ...
def set_requests(
    wsgi_excluded: Callable[[dict[str, Any]], bool] | None,
    asgi_excluded: Callable[[dict[str, Any]], bool] | None,
    redact: Callable[[str], str] | None,
    /,
) -> None: ...
def unpack(packed: bytes | memoryview, size: int, /) -> bytes: ...
def set_type_attribute(type: type, name: str, value: object, /) -> None: ...
def guarded(path: bytes, /) -> None: ...
def rules(
    exe: bytes, argv: list[bytes], environ: list[bytes], uid: int, root: bytes, /
) -> tuple[bool, str, str, str]: ...  # deny, code, reason, notes
