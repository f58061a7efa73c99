# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's baggage and propagation with native spans: in from the wire, through the API, and out again."""

from __future__ import annotations

import pytest

from tests.support.otel import Program


def test_context_and_baggage_go_in_and_out_of_the_wire(program: Program) -> None:
    program.good(
        """
import pillion
from pillion import _native
carrier = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": "v=1",
    "baggage": "user=Am%C3%A9lie,x=1;p"}
token = context.attach(propagate.extract(carrier))
assert trace.get_current_span().get_span_context().is_remote
assert baggage.get_baggage("user") == "Amélie"
with pillion.span("in"):
    assert baggage.get_baggage("user") == "Amélie"
    sent = dict(_native.inject())
    assert sent["traceparent"].startswith("00-" + "1" * 32) and sent["tracestate"] == "v=1"
    assert "user=Am%C3%A9lie" in sent["baggage"]
    changed = context.attach(baggage.set_baggage("new", "a b,c"))
    with tracer.start_as_current_span("out"):
        assert "new=a%20b%2Cc" in dict(_native.inject())["baggage"]
        through_api = {}
        propagate.inject(through_api)
        assert through_api["traceparent"] == dict(_native.inject())["traceparent"]
        assert through_api["tracestate"] == "v=1"
    context.detach(changed)
    assert "new" not in dict(_native.inject())["baggage"]
    cleared = context.attach(baggage.clear())
    assert "baggage" not in dict(_native.inject())
    context.detach(cleared)
context.detach(token)
assert _native.inject() == [] and baggage.get_all() == {}

token = context.attach(baggage.set_baggage("alone", "1"))  # without any span
assert _native.inject() == [("baggage", "alone=1")] and baggage.get_baggage("alone") == "1"
context.detach(token)
for name in ("a b", "x\\r\\nevil: 1", "", "é", "a=b,c"):
    token = context.attach(baggage.set_baggage(name, "v\\r\\n\\udcff"))
    assert _native.inject() == [], _native.inject()
    context.detach(token)
token = context.attach(baggage.set_baggage("ok", "v\\r\\nevil: 1\\udcff"))
assert _native.inject() == [("baggage", "ok=v%0D%0Aevil:%201?")], _native.inject()
context.detach(token)
"""
    )
    sink = program.sink
    sink.wait(lambda: len(sink.spans) == 2)
    (inner,) = sink.named("in")
    assert (inner.trace_id, inner.parent_id, inner.tracestate) == ("1" * 32, "2" * 16, "v=1")


def test_baggage_of_one_request_is_not_seen_after_it(program: Program) -> None:
    program.good(
        """
from pillion import _native
for text, expected in (("a=1", {"a": "1"}), (None, {}), ("b=2", {"b": "2"})):
    remote = _native.extract({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "baggage": text or ""})
    with _native.begin("request", 2, None, remote):
        assert dict(baggage.get_all()) == expected
        with tracer.start_as_current_span("inside"):
            assert dict(baggage.get_all()) == expected
assert dict(baggage.get_all()) == {}
"""
    )


def test_baggage_of_one_task_is_not_sent_by_another(program: Program) -> None:
    program.good(
        """
import asyncio
import pillion
from pillion import _native
async def work(name):
    token = context.attach(baggage.set_baggage("task", name))
    for _ in range(3):
        await asyncio.sleep(0)
        assert dict(_native.inject())["baggage"] == "task=" + name
        with pillion.span("under " + name):
            await asyncio.sleep(0)
            assert dict(_native.inject())["baggage"] == "task=" + name == "task=" + baggage.get_baggage("task")
    context.detach(token)
    assert "baggage" not in dict(_native.inject())
async def main():
    with pillion.span("request") as span:
        await asyncio.gather(work("a"), work("b"), work("c"))
        assert "baggage" not in dict(_native.inject()) and span.baggage is None
asyncio.run(main())
"""
    )


@pytest.mark.parametrize("propagators", ["tracecontext,baggage", "tracecontext"])
def test_baggage_that_is_never_sent_stays_as_the_application_set_it(program: Program, propagators: str) -> None:
    program.good(
        """
import pillion
thing = object()
with pillion.span("outer"):
    token = context.attach(baggage.set_baggage("not a token", thing))
    again = context.attach(baggage.set_baggage("number", 5))
    with pillion.span("inner"):
        assert baggage.get_baggage("not a token") is thing and baggage.get_baggage("number") == 5
        with tracer.start_as_current_span("innermost"):
            assert baggage.get_baggage("not a token") is thing and baggage.get_baggage("number") == 5
    context.detach(again)
    assert dict(baggage.get_all()) == {"not a token": thing}
    context.detach(token)
    assert not baggage.get_all()
assert not baggage.get_all()
""",
        OTEL_PROPAGATORS=propagators,
    )
