# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's API on native spans, in real processes: spans, contexts, exceptions, hostile arguments."""

from __future__ import annotations

from tests.support.otel import HEAD, Program


def test_every_field_of_a_span_arrives(program: Program) -> None:
    program.good(
        """
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
far = SpanContext(0xA, 0xB, True, TraceFlags(1), TraceState([("v", "1")]))
span = tracer.start_span("first", kind=SpanKind.PRODUCER, attributes={"s": "x", "b": True, "i": -5, "f": 1.5,
    "a": ["p", "q"], "n": (1, 2), "e": []}, links=[Link(far, {"why": "far"})], start_time=1_700_000_000_000_000_000)
span.set_attribute("s", "y")
span.set_attributes({"more": 1})
span.add_event("event", {"k": [True]}, timestamp=1_700_000_000_500_000_000)
span.update_name("renamed")
span.set_status(Status(StatusCode.ERROR, "bad"))
assert span.is_recording()
span.end(end_time=1_700_000_001_000_000_000)
assert not span.is_recording()
span.set_attribute("late", 1); span.add_event("late"); span.end()
"""
    )
    program.sink.wait(lambda: len(program.sink.spans) == 1)
    (span,) = program.sink.spans
    assert (span.name, span.kind, span.status, span.message) == ("renamed", 4, 2, "bad")
    assert (span.scope, span.version, span.schema) == ("shop", "2.1", "https://example.org/1")
    assert span.parent_id == ""
    assert (span.start_ns, span.end_ns) == (1_700_000_000_000_000_000, 1_700_000_001_000_000_000)
    assert span.attributes == {
        "s": "y", "b": True, "i": -5, "f": 1.5, "a": ["p", "q"], "n": [1, 2], "e": [], "more": 1,
    }  # fmt: skip
    assert span.events == [("event", {"k": [True]})]
    assert span.raw.events[0].time_unix_nano == 1_700_000_000_500_000_000
    assert span.links == [("0" * 31 + "a", "0" * 15 + "b", {"why": "far"})]
    assert span.raw.links[0].trace_state == "v=1" and span.raw.links[0].flags & 1


def test_spans_of_hooks_of_pillion_and_of_the_api_are_one_tree(program: Program) -> None:
    program.good(
        """
import sqlite3
import pillion
with tracer.start_as_current_span("a") as a:
    assert trace.get_current_span() is a
    with pillion.span("b"):
        b = trace.get_current_span()
        assert b.is_recording() and b is not a and b is trace.get_current_span()
        b.set_attribute("from", "the api")
        with tracer.start_as_current_span("c") as c:
            sqlite3.connect(":memory:").execute("select 1")
            assert trace.get_current_span() is c
        assert trace.get_current_span() is b
    assert trace.get_current_span() is a
    assert pillion.current_span().span_id == format(a.get_span_context().span_id, "016x")
assert trace.get_current_span() is trace.INVALID_SPAN
assert not pillion.current_span()
"""
    )
    sink = program.sink
    sink.wait(lambda: len(sink.spans) == 4)
    by_id = {span.span_id: span for span in sink.spans}
    chain = {span.name: by_id[span.parent_id].name if span.parent_id else "" for span in sink.spans}
    assert [chain.pop(name) for name in "abc"] == ["", "a", "b"]
    assert list(chain.values()) == ["c"]  # the query
    assert sink.named("b")[0].attributes == {"from": "the api"}
    assert len({span.trace_id for span in sink.spans}) == 1


def test_contexts_are_attached_and_detached_by_hand(program: Program) -> None:
    program.good(
        """
import pillion
span = tracer.start_span("by hand")
assert trace.get_current_span() is trace.INVALID_SPAN
token = context.attach(trace.set_span_in_context(span))
assert trace.get_current_span() is span and pillion.current_span()
inner = context.attach(context.set_value("key", "value"))
assert context.get_value("key") == "value" and trace.get_current_span() is span
with pillion.span("child"):
    assert context.get_value("key") == "value"
    root = context.attach(context.Context())
    assert trace.get_current_span() is trace.INVALID_SPAN
    with tracer.start_as_current_span("root"):
        pass
    context.detach(root)
context.detach(inner)
assert context.get_value("key") is None and trace.get_current_span() is span
context.detach(token)
assert trace.get_current_span() is trace.INVALID_SPAN and not pillion.current_span()
with trace.use_span(span, end_on_exit=True):
    assert trace.get_current_span() is span
    with tracer.start_as_current_span("elsewhere", context=context.Context()):
        pass
assert not span.is_recording()
other = tracer.start_span("other")
with tracer.start_as_current_span("under other", context=trace.set_span_in_context(other)):
    pass
other.end()
"""
    )
    sink = program.sink
    sink.wait(lambda: len(sink.spans) == 6)
    by_id = {span.span_id: span.name for span in sink.spans}
    assert {span.name: by_id.get(span.parent_id) for span in sink.spans} == {
        "by hand": None,
        "child": "by hand",
        "root": None,
        "elsewhere": None,
        "other": None,
        "under other": "other",
    }


def test_exceptions_are_recorded_once_and_go_on_unchanged(program: Program) -> None:
    program.good(
        """
from opentelemetry.trace import StatusCode
error = ValueError("boom")
def attempt(make, **options):
    try:
        with make("x", **options) as span:
            raise error
    except ValueError as caught:
        assert caught is error
attempt(tracer.start_as_current_span)
attempt(tracer.start_as_current_span, record_exception=False, set_status_on_exception=False)
try:
    with tracer.start_as_current_span("x") as span:
        span.set_status(StatusCode.OK)
        span.set_status(StatusCode.ERROR, "ignored")
        raise error
except ValueError:
    pass
with tracer.start_as_current_span("handled") as span:
    span.record_exception(error)
    span.record_exception(error, {"extra": 1, "exception.message": "mine"}, timestamp=5)
try:
    with tracer.start_as_current_span("generator exit"):
        raise GeneratorExit
except GeneratorExit:
    pass
"""
    )
    sink = program.sink
    sink.wait(lambda: len(sink.spans) == 5)
    first, second, third = sink.named("x")
    assert (first.status, first.message, first.attributes["error.type"]) == (2, "boom", "ValueError")
    assert [event[0] for event in first.events] == ["exception"]
    assert (second.status, second.events) == (0, [])
    assert third.status == 1 and len(third.events) == 1
    (handled,) = sink.named("handled")
    assert handled.status == 0 and [e[1]["exception.message"] for e in handled.events] == ["boom", "mine"]
    assert handled.events[1][1]["extra"] == 1 and handled.raw.events[1].time_unix_nano == 5
    (last,) = sink.named("generator exit")
    assert (last.status, last.events) == (0, [])


def test_tracer_is_a_decorator_too(program: Program) -> None:
    program.good(
        """
@tracer.start_as_current_span("decorated")
def work(x):
    return trace.get_current_span().get_span_context().span_id, x
first, second = work(1), work(2)
assert first[0] and second[0] and first[0] != second[0] and (first[1], second[1]) == (1, 2)
"""
    )
    program.sink.wait(lambda: len(program.sink.named("decorated")) == 2)


def test_generators_and_tasks_that_leave_a_span_elsewhere_write_nothing(program: Program) -> None:
    program.good(
        """
import asyncio, logging
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
async def numbers():
    with tracer.start_as_current_span("stream"):
        yield 1
        yield 2
async def child(name):
    with tracer.start_as_current_span(name) as span:
        await asyncio.sleep(0)
        assert trace.get_current_span() is span
        await asyncio.sleep(0)
async def main():
    with tracer.start_as_current_span("main") as main_span:
        await asyncio.gather(child("t1"), child("t2"))
        stream = numbers()
        await stream.__anext__()
        await asyncio.create_task(stream.aclose())
    loop = asyncio.get_running_loop()
    for _ in range(5):
        await asyncio.sleep(0)
asyncio.run(main())
"""
    )
    sink = program.sink
    sink.wait(lambda: len(sink.spans) == 4)
    (main,) = sink.named("main")
    assert {span.parent_id for span in sink.spans if span is not main} == {main.span_id}


NONSENSE = """
class Odd:
    def __str__(self): raise RuntimeError("odd")
for value in (None, 5, "x", b"", [], {}, object(), Odd(), float("nan"), -1):
    span = tracer.start_span("n", attributes=value if isinstance(value, dict) else None)
    tracer.start_span(value).end()
    span.set_attribute("k", value)
    span.set_attribute(value, 1)
    span.set_attributes(value if isinstance(value, dict) else {})
    span.add_event(value, {"k": value}, timestamp=value if isinstance(value, int) else None)
    span.set_status(value)
    span.update_name(value)
    span.add_link(trace.INVALID_SPAN_CONTEXT) if hasattr(span, "add_link") else None
    span.record_exception(ValueError(value if not isinstance(value, Odd) else 1))
    span.end(value if isinstance(value, int) else None)
with tracer.start_as_current_span("with a foreign parent", context=trace.set_span_in_context(trace.NonRecordingSpan(
        trace.SpanContext(1, 2, False, trace.TraceFlags(1))))) as span:
    assert span.get_span_context().trace_id == 1
with trace.use_span(trace.INVALID_SPAN):
    assert trace.get_current_span() is trace.INVALID_SPAN
print("done")
"""


def test_wrong_arguments_change_nothing_for_the_application(program: Program) -> None:
    bare = program.bare(
        HEAD + NONSENSE.replace("    assert span.get_span_context().trace_id == 1", "    pass"), program.api_path
    )
    result = program.good(NONSENSE)
    assert (result.code, result.out) == (bare.code, bare.out) == (0, "done\n")
    program.sink.wait(lambda: len(program.sink.named("with a foreign parent")) == 1)
    assert program.sink.named("with a foreign parent")[0].parent_id == "0" * 15 + "2"


def test_isinstance_says_what_an_application_expects(program: Program) -> None:
    program.good(
        """
assert type(tracer).__name__ == "ProxyTracer"
assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
with tracer.start_as_current_span("x") as span:
    assert isinstance(span, trace.Span) and isinstance(span.get_span_context(), trace.SpanContext)
    assert span.get_span_context() is span.get_span_context()
    assert span.get_span_context().trace_flags.sampled and not span.get_span_context().is_remote
"""
    )


def test_tracers_spans_and_contexts_can_be_copied_and_pickled(program: Program) -> None:
    program.good(
        """
import copy, pickle
with tracer.start_as_current_span("x") as span:
    ids = span.get_span_context()
    for again in (pickle.loads(pickle.dumps(span)), copy.deepcopy(span)):
        assert again.get_span_context().span_id == ids.span_id and not again.is_recording()
    pickle.loads(pickle.dumps(tracer)).start_span("y")
    copied = copy.deepcopy(dict(context.get_current()))
"""
    )


def test_unsampled_trace_is_not_recorded_and_goes_on_as_unsampled(program: Program) -> None:
    program.good(
        """
with tracer.start_as_current_span("x") as span:
    assert not span.is_recording() and span.get_span_context().is_valid
    assert not span.get_span_context().trace_flags.sampled
    carrier = {}
    propagate.inject(carrier)
    assert int(carrier["traceparent"][-2:], 16) & 1 == 0
""",
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert program.sink.spans == []


FLASK = """
import flask
app = flask.Flask("shop")

@app.get("/items/<item>")
def items(item):
    server = trace.get_current_span()
    assert server.is_recording() and server is trace.get_current_span()
    server.set_attribute("app.item", item)
    assert server.get_span_context().trace_id == 0x0af7651916cd43dd8448eb211c80319c
    assert baggage.get_baggage("user") == "ann"
    token = context.attach(baggage.set_baggage("item", item))
    with tracer.start_as_current_span("look up", attributes={"i": 1}):
        carrier = {}
        propagate.inject(carrier)
    context.detach(token)
    assert trace.get_current_span() is server
    return carrier

headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "baggage": "user=ann"}
client = app.test_client()
for item in ("a", "b"):
    print(sorted(client.get("/items/" + item, headers=headers).get_json()))
    assert trace.get_current_span() is trace.INVALID_SPAN and not baggage.get_all()
"""


def test_request_of_a_hooked_framework_is_the_current_span_of_the_api(program: Program) -> None:
    result = program.good(FLASK)
    assert result.out == "['baggage', 'traceparent']\n" * 2
    sink = program.sink
    sink.wait(lambda: len(sink.spans) == 4)
    servers = sink.named("GET /items/<item>")
    assert [span.kind for span in servers] == [2, 2]
    assert sorted(span.attributes["app.item"] for span in servers) == ["a", "b"]
    assert {span.parent_id for span in servers} == {"b7ad6b7169203331"}
    assert {span.parent_id for span in sink.named("look up")} == {span.span_id for span in servers}
