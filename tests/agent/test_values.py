# SPDX-License-Identifier: Apache-2.0
"""Values of attributes, of every type, against what opentelemetry-sdk makes of them; and the limits of spans.

The table DIFFERENT names each promise that isn't the SDK's, with the reason.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

from tests.support.sink import Sink, plain
from tests.support.traced import Traced

PRELUDE = """
import collections, decimal, enum, fractions, uuid
class Number(int): pass
class Real(float): pass
class Text(str):
    def __str__(self): return "another text"
class Color(enum.Enum): RED = 1
class Level(enum.IntEnum): HIGH = 3
class Word(str, enum.Enum): YES = "yes"
class Flag(enum.IntFlag): A = 1; B = 2
class Index:
    def __index__(self): return 7
class Float:
    def __float__(self): return 2.5
class Both(Index, Float): pass
class Array:  # as numpy's of more than one element: it has the methods, and they refuse
    def __index__(self): raise TypeError("only integer scalar arrays can be converted to a scalar index")
    def __float__(self): raise TypeError("only length-1 arrays can be converted to Python scalars")
    def __str__(self): return "[1 2]"
class Loud:
    def __str__(self): return "loud"
class Shown:
    def __repr__(self): return "shown"
class Raises:
    def __str__(self): raise RuntimeError("no")
class Exits:
    def __str__(self): raise RecursionError
class Wrong:
    def __str__(self): return 7
Point = collections.namedtuple("Point", "x y")
"""
SAME = {  # name: expression; the SDK's value is ours
    "true": "True", "false": "False", "zero": "0", "int": "-5", "most": "2**63 - 1", "least": "-2**63",
    "float": "2.5", "tiny": "5e-324", "inf": "float('inf')", "-inf": "-float('inf')", "-0": "-0.0",
    "str": "'text'", "empty": "''", "nul": "'a\\0b'", "accents": "'é' * 100", "astral": "'\\U0001f600' * 3",
    "long": "'x' * 100_000", "long accents": "'é' * 100_000", "bytes": "b'\\0\\xff'", "no bytes": "b''",
    "list": "['a', 'b']", "tuple": "(1, 2)", "mixed": "[1, 'a', 2.5, True, b'b']", "none within": "['a', None, 'b']",
    "no items": "[]", "range": "range(3)", "number": "Number(5)", "real": "Real(1.5)", "level": "Level.HIGH",
    "flag": "Flag.A", "named tuple": "Point(1, 2)", "color": "Color.RED", "decimal": "decimal.Decimal('1.10')",
    "uuid": "uuid.UUID(int=5)", "loud": "Loud()", "shown": "Shown()", "set": "{1}", "objects within": "[Loud(), 1]",
}  # fmt: skip
DIFFERENT = {  # name: (expression, our value, why)
    "big": ("2**70", str(2**70), "the SDK keeps it, and its exporter then fails for want of bits"),
    "huge": ("10**5000", None, "CPython refuses to write it"),
    "surrogate": ("'a\\ud800b'", "a?b", "the SDK's exporter cannot encode it"),
    "surrogate pair": ("'\\ud83d\\ude00'", "??", "the same"),
    "long surrogates": ("'\\ud800' * 5000", "?" * 5000, "the same"),
    "none": ("None", None, "here it means that there's nothing to set"),
    "text": ("Text('own')", "own", "both keep what the text is, and ask no __str__"),
    "word": ("Word.YES", "yes", "the same"),
    "bytearray": ("bytearray(b'ab')", b"ab", "bytes here; a sequence of numbers there"),
    "memoryview": ("memoryview(b'abcd')[1:3]", b"bc", "bytes here; a sequence of numbers there"),
    "view with gaps": ("memoryview(b'abcd')[::2]", "<memory", "its text, as of anything else"),
    "index": ("Index()", 7, "a scalar of numpy is a number"),
    "float-like": ("Float()", 2.5, "the same"),
    "both": ("Both()", 7, "the same"),
    "fraction": ("fractions.Fraction(1, 4)", 0.25, "the same"),
    "array": ("Array()", "[1 2]", "what looks like a number and isn't is its text"),
    "nested": ("[[1, 2], (3,)]", ["[1, 2]", "(3,)"], "a sequence within a sequence is its text"),
    "mapping": ("{'a': 1}", "{'a': 1}", "a mapping is its text"),
    "many": ("list(range(5000))", list(range(1024)), "a sequence has 1,024 elements at most"),
    "generator": ("(n for n in [1])", "<generator", "its text: it isn't consumed"),
    "deque": ("collections.deque([1, 2])", "deque([1, 2])", "lists, tuples and ranges are sequences; others not"),
    "raises": ("Raises()", None, "dropped and counted; the SDK lets the error through"),
    "exits": ("Exits()", None, "the same"),
    "wrong": ("Wrong()", None, "the same"),
    "raises within": ("[1, Raises(), 2]", [1, None, 2], "a null in its place"),
    "too long": ("'x' * 300_000", None, "more than a record holds: dropped and counted"),
    "far too long": ("'é' * 2_000_000", None, "the same"),
    "too many bytes": ("bytearray(10_000_000)", None, "the same"),
    "plain object": ("type('Plain', (), {})()", "<__main__", "its text; the SDK sends a null"),
}  # fmt: skip
COUNTED = ("huge", "raises", "exits", "wrong", "too long", "far too long", "too many bytes")


def sdk_value(expression: str) -> Any:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(PRELUDE, scope)
    attributes = BoundedAttributes(attributes={"k": eval(expression, scope)})
    return plain(_encode_attributes(attributes)[0].value)


def set_all(traced: Traced, expressions: dict[str, str], how: str, **env: str) -> Any:
    """Sets each on a span of its own, and gives what arrived: attributes by name, and the raw spans."""
    lines = PRELUDE + "from pillion._native import begin, flush\n"
    for name, expression in expressions.items():
        lines += f"value = {expression}\nspan = begin({name!r})\n{how}\nspan.end()\n"
    result = traced.run(lines, **env)
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: len(traced.sink.spans) >= len(expressions))
    return {span.name: span for span in traced.sink.spans}


@pytest.mark.parametrize("how", ["span.set('k', value)", "span.set_many({'k': value})"])
def test_values_are_what_the_sdk_makes_of_them(traced: Traced, how: str) -> None:
    found = set_all(traced, SAME, how)
    for name, expression in SAME.items():
        expected, got = sdk_value(expression), found[name].attributes["k"]
        assert got == expected and type(got) is type(expected), name
        assert found[name].raw.dropped_attributes_count == 0
    (nan,) = set_all(traced, {"nan": "float('nan')"}, how)["nan"].attributes.values()
    assert nan != nan


def test_values_that_differ_from_the_sdk_s_do_so_by_name(traced: Traced) -> None:
    found = set_all(traced, {name: row[0] for name, row in DIFFERENT.items()}, "span.set('k', value)")
    for name, (_, expected, reason) in DIFFERENT.items():
        got, raw = found[name].attributes.get("k"), found[name].raw
        assert got == expected or (isinstance(expected, str) and expected[:1] == "<" and got.startswith(expected)), name
        assert raw.dropped_attributes_count == (name in COUNTED), name
        assert reason


def test_events_and_links_take_the_same_values_and_count_what_they_drop(traced: Traced) -> None:
    found = set_all(
        traced,
        {"level": "Level.HIGH", "wrong": "Wrong()", "mixed": "[1, 'a', Raises()]"},
        "span.event('e', {'k': value, 'z': 1, '': 2}); span.link('1' * 32, '2' * 16, {'k': value, 'z': 1, 5: 2})",
    )
    for name, expected in (("level", 3), ("wrong", None), ("mixed", [1, "a", None])):
        raw = found[name].raw
        for owner in (raw.events[0], raw.links[0]):
            attributes = {pair.key: plain(pair.value) for pair in owner.attributes}
            assert attributes == {"z": 1} | ({} if expected is None else {"k": expected})
            assert owner.dropped_attributes_count == 1 + (expected is None)


HOSTILE = {  # the body of __str__, which then returns
    "sets the same key": "span.set('k', 'inner')",
    "sets others": "for n in range(50): span.set(f'other {n}', 'x' * n)",
    "starts spans": "with pillion.span('within'): pillion.current_span",
    "ends the span": "span.end()",
    "empties the dict": "attributes.clear()",
    "fills the dict": "attributes.update({f'{len(attributes)}.{n}': Evil() for n in range(9)})",
    "adds an event": "span.event('within', {'own': 1})",
    "adds a link": "span.link('3' * 32, '4' * 16, {'own': 1})",
    "empties the list": "attributes.get('list', []).clear()",
    "raises": "raise ValueError",
    "recurses": "str(self)",
    "asks its own": "if len(deep) < 9 and not deep.append(1): span.set_many(attributes)",
    "collects": "import gc; gc.collect()",
    "throws a span away": "global span; span = begin('another')",
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize(
    "call", ["span.set_many(attributes)", "span.event('e', attributes)", "span.exception(Error(Evil()))"]
)
def test_an_application_whose_str_does_anything_is_not_hurt(traced: Traced, what: str, call: str) -> None:
    result = traced.run(f"""
import pillion, sys
from pillion._native import begin
deep = []
class Error(Exception): pass
class Evil:
    def __str__(self):
        {HOSTILE[what]}
        return "outer"
span = first = begin("s")
attributes = {{"a": 1, "k": Evil(), "b": 2}}
attributes["list"] = [Evil(), 1, Evil(), 2]
attributes["z"] = "end"
{call}
first.end(); span.end()
with pillion.span("after") as later: later.set("fine", True)
print("done")
""")
    assert (result.code, result.out, result.err) == (0, "done\n", "")
    traced.sink.wait(lambda: bool(traced.sink.named("after")))
    (span,) = traced.sink.named("s")
    if call.startswith("span.set_many") and "ends" not in what:
        assert span.attributes["a"] == 1
    for name, attributes in span.events:
        assert name != "within" or attributes == {"own": 1}
    for link in span.links:
        assert link[2] == {"own": 1}


def test_a_ctrl_c_while_a_value_is_asked_for_its_text_reaches_the_application(traced: Traced) -> None:
    result = traced.run("""
        import os, signal
        from pillion._native import begin
        class Slow:
            def __str__(self):
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000): pass
                return "slow"
        span = begin("s")
        try:
            span.set("k", Slow())
            for _ in range(100_000): pass
            print("lost")
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert (result.code, result.out) == (0, "interrupted\n"), result.err


LIMITS = [
    {},
    {"OTEL_ATTRIBUTE_COUNT_LIMIT": "3"},
    {"OTEL_ATTRIBUTE_COUNT_LIMIT": "3", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5"},
    {"OTEL_ATTRIBUTE_COUNT_LIMIT": "3", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1"},
    {"OTEL_ATTRIBUTE_COUNT_LIMIT": "3", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "2", "OTEL_SPAN_LINK_COUNT_LIMIT": "4"},
    {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "0"},
    {"OTEL_SPAN_EVENT_COUNT_LIMIT": "0", "OTEL_SPAN_LINK_COUNT_LIMIT": "0"},
    {"OTEL_SPAN_EVENT_COUNT_LIMIT": "7", "OTEL_SPAN_LINK_COUNT_LIMIT": "1000"},
    {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4"},
    {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "6"},
    {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "6"},
    {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "0"},
]
FILL = """
import json
def fill(span, event, link):
    attributes = {f"key {n}": "é" * n + "x" for n in range(9)}
    for key, value in attributes.items(): span(key, value)
    span("list", ["ééééééé", "x" * 9, 5])
    for n in range(150): span(f"more {n}", n)
    for n in range(140):
        more = {f"more {m}": m for m in range(150 if n == 50 else n % 5)}
        event(f"e{n}", {**attributes, **more})
        link(n, {**attributes, **more})
"""


def of_sdk(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Any:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    span: Any = TracerProvider(span_limits=SpanLimits()).get_tracer("t").start_span("s")
    scope: dict[str, Any] = {}
    exec(FILL, scope)

    def link(number: int, attributes: dict[str, Any]) -> None:
        span.add_link(trace.SpanContext(number + 1, number + 1, False), attributes)

    scope["fill"](span.set_attribute, span.add_event, link)
    return span


@pytest.mark.parametrize("variables", LIMITS, ids=lambda v: ",".join(f"{k[5:]}={n}" for k, n in v.items()) or "none")
def test_limits_keep_as_many_and_drop_as_many_as_the_sdk_s(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """Where something is dropped it's the newest here, as the specification wants; the SDK drops the oldest."""
    expected = of_sdk(monkeypatch, variables)
    result = traced.run(
        FILL
        + """
from pillion._native import begin
span = begin("s")
fill(span.set, span.event, lambda n, a: span.link(f"{n + 1:032x}", f"{n + 1:016x}", a))
span.end()
""",
        **variables,
    )
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: bool(traced.sink.spans))
    (span,) = traced.sink.spans
    raw = span.raw
    assert (len(raw.attributes), raw.dropped_attributes_count) == (
        len(expected.attributes),
        expected.dropped_attributes,
    )
    assert (len(raw.events), raw.dropped_events_count) == (len(expected.events), expected.dropped_events)
    assert (len(raw.links), raw.dropped_links_count) == (len(expected.links), expected.dropped_links)
    events = {each.name: each for each in expected.events}
    links = {each.context.trace_id: each for each in expected.links}
    both = [(each, events[each.name]) for each in raw.events if each.name in events]
    both += [(each, links[int.from_bytes(each.trace_id, "big")]) for each in raw.links if each.trace_id[-1] in links]
    for ours, theirs in both:
        dropped = theirs.attributes.dropped
        assert (len(ours.attributes), ours.dropped_attributes_count) == (len(theirs.attributes), dropped)
    assert len(both) > 20 or len(raw.events) + len(raw.links) < 160
    whole = BoundedAttributes(attributes={}, immutable=False, max_value_len=expected._limits.max_span_attribute_length)
    exec(FILL, scope := {})
    scope["fill"](whole.__setitem__, lambda *_: None, lambda *_: None)
    for key, value in span.attributes.items():
        assert value == (list(whole[key]) if isinstance(whole[key], tuple) else whole[key])  # cut by characters
    if raw.events:
        values = {pair.key: plain(pair.value) for pair in raw.events[0].attributes}
        assert all(value == expected_text(key, expected._limits.max_attribute_length) for key, value in values.items())


def expected_text(key: str, limit: int | None) -> str:
    return ("é" * int(key.split()[1]) + "x")[:limit]


def test_resource_has_no_limits(traced: Traced) -> None:
    limits = dict.fromkeys(("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), "1")
    traced.run("import pillion\nwith pillion.span('s'): pass", OTEL_SERVICE_NAME="a service", **limits)
    traced.sink.wait(lambda: bool(traced.sink.spans))
    resource = traced.sink.spans[0].resource
    assert resource["service.name"] == "a service" and resource["telemetry.sdk.language"] == "python"


def test_metrics_keep_their_attributes_whatever_the_limits_of_spans(traced: Traced) -> None:
    limits = dict.fromkeys(("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), "1")
    traced.run("import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1')", **limits)
    traced.sink.wait(lambda: bool(traced.sink.metrics))
    assert '"db.system.name"' in json.dumps(names(traced.sink))


def names(sink: Sink) -> list[str]:
    return [
        pair.key
        for request in sink.metrics
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.histogram.data_points
        for pair in point.attributes
    ]
