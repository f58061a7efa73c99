# SPDX-License-Identifier: Apache-2.0
"""The border: Span, Remote, Call and Wrapper, used from a real process whose spans a reference server receives."""

from __future__ import annotations

import pytest

from tests.support.traced import Traced

INCOMING = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_span_arrives_with_every_kind_of_value(traced: Traced) -> None:
    result = traced.run("""
        from pillion._native import begin
        class Loud:
            def __str__(self): return "loud"
        class Broken:
            def __str__(self): raise RuntimeError("no")
        span = begin("values")
        for key, value in {"s": "text", "e": "é\\ud800", "i": -5, "big": 2**70, "f": 2.5, "t": True, "b": b"\\x00\\xff",
                           "l": ["a", "b"], "n": [1, 2], "none": None, "o": Loud(), "x": Broken(), "i2": 1}.items():
            span.set(key, value)
        span.set("i2", 7)
        span.end()
        span.set("late", 1)
    """)
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: bool(traced.sink.spans))
    (span,) = traced.sink.spans
    assert span.attributes == {
        "s": "text", "e": "é?", "i": -5, "big": str(2**70), "f": 2.5, "t": True, "b": b"\x00\xff",
        "l": ["a", "b"], "n": [1, 2], "o": "loud", "i2": 7,
    }  # fmt: skip


def test_nested_spans_have_the_right_parents_and_an_exception_marks_its_span(traced: Traced) -> None:
    result = traced.run("""
        from pillion._native import begin, current
        class Odd(ValueError): pass
        with begin("outer") as outer:
            assert current() is outer
            try:
                with begin("inner"):
                    raise Odd("wrong")
            except Odd:
                pass
            assert current() is outer
        assert current() is None
        print(outer.trace_id)
    """)
    traced.sink.wait(lambda: len(traced.sink.spans) == 2)
    (outer,), (inner,) = traced.sink.named("outer"), traced.sink.named("inner")
    assert result.out.strip() == outer.trace_id == inner.trace_id
    assert (outer.parent_id, inner.parent_id) == ("", outer.span_id)
    assert (outer.status, inner.status, inner.message) == (0, 2, "wrong")
    assert inner.attributes["error.type"] == "__main__.Odd"
    ((event, attributes),) = inner.events
    assert event == "exception"
    assert attributes["exception.type"] == "__main__.Odd"
    assert "raise" not in attributes["exception.stacktrace"]
    assert attributes["exception.stacktrace"].endswith("__main__.Odd: wrong\n")


@pytest.mark.parametrize("name", ["sqlalchemy.exc.StatementError", "django.db.utils.Error", "psycopg.Error"])
def test_of_a_databases_error_the_lines_below_the_first_stay_in_the_process(traced: Traced, name: str) -> None:
    module, _, name = name.rpartition(".")
    result = traced.run(
        f"""
        from pillion._native import begin
        base = type({name!r}, (Exception,), {{"__module__": {module!r}}})
        broken = type("Broken", (base,), {{}})("wrong\\nLINE 1: SELECT 'secret'")
        def failing(name, error, cause=None):
            try:
                with begin(name): raise error from cause
            except Exception: pass
        failing("database", broken)
        failing("caused", KeyError("a"), broken)
        failing("other", RuntimeError("one\\ntwo"))
        """
    )
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: len(traced.sink.spans) == 3)
    (database,), (caused,), (other,) = map(traced.sink.named, ("database", "caused", "other"))
    assert (database.message, other.message) == ("wrong", "one\ntwo")
    ((_, attributes),) = caused.events
    assert "Broken: wrong\n" in attributes["exception.stacktrace"]
    assert "secret" not in str([database, caused])


def test_a_remote_parent_is_continued_with_its_state_and_baggage(traced: Traced) -> None:
    result = traced.run(f"""
        from pillion._native import begin, inject, extract
        remote = extract({{"traceparent": "{INCOMING}", "tracestate": "a=1,b=2", "baggage": "user=7"}})
        with begin("served", 2, None, remote) as span:
            print(dict(inject()))
        print(extract({{"traceparent": "00-garbage"}}))
    """)
    traced.sink.wait(lambda: bool(traced.sink.spans))
    (span,) = traced.sink.spans
    assert span.trace_id == INCOMING[3:35] and span.parent_id == INCOMING[36:52] and span.tracestate == "a=1,b=2"
    sent = {
        "traceparent": f"00-{span.trace_id}-{span.span_id}-01",
        "tracestate": "a=1,b=2",
        "baggage": "user=7",
    }
    assert result.out.splitlines() == [str(sent), "None"]
    assert span.flags & 0x300 == 0x300


def test_events_links_and_status_are_kept(traced: Traced) -> None:
    traced.run("""
        from pillion._native import begin
        span = begin("linked")
        span.event("step", {"n": 1})
        span.link("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", {"why": "because"})
        span.status(2, "broken")
        span.name("renamed")
        span.end()
    """)
    traced.sink.wait(lambda: bool(traced.sink.spans))
    (span,) = traced.sink.spans
    assert (span.name, span.status, span.message) == ("renamed", 2, "broken")
    assert span.events == [("step", {"n": 1})]
    assert span.links == [("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", {"why": "because"})]


@pytest.mark.parametrize(
    "call",
    ["begin()", "begin(1)", "begin('x', 'y')", "begin('x').link('zz', 'y')", "begin('x').event(1)", "Remote()",
     "sql(1, True)", "detach(1)", "start()", "begin('x').status('a')"],
)  # fmt: skip
def test_wrong_arguments_raise_a_python_exception(traced: Traced, call: str) -> None:
    result = traced.run(f"""
        from pillion._native import *
        try:
            {call}
        except (TypeError, ValueError, RuntimeError) as error:
            print(type(error).__name__)
    """)
    assert result.code == 0 and result.out.strip() in ("TypeError", "ValueError"), result.err


def test_a_sampled_out_trace_is_propagated_and_not_recorded(traced: Traced) -> None:
    result = traced.run(
        """
        from pillion._native import begin, inject, flush, stats
        with begin("dropped", 2) as span:
            print(span.recording, dict(inject())["traceparent"][-2:])
        flush(2)
        print(stats()["recorded"])
    """,
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert result.out.split() == ["False", "02", "0"] or result.out.split() == ["False", "00", "0"]
    assert traced.sink.spans == []
