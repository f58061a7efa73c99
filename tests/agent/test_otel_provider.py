# SPDX-License-Identifier: Apache-2.0
"""Whose tracing it is: an OpenTelemetry SDK of the application wins; an API without one is bridged, early or late."""

from __future__ import annotations

import sys

from tests.support.otel import HEAD, Program
from tests.support.traced import AGENT, Traced

SDK = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import sqlite3, logging
logging.basicConfig(stream=sys.stdout)
early = trace.get_tracer("early")
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
with tracer.start_as_current_span("a") as a:
    assert trace.get_current_span() is a
    with early.start_as_current_span("b"):
        sqlite3.connect(":memory:").execute("select 1")
assert trace.get_current_span() is trace.INVALID_SPAN
print([(span.name, span.parent and span.parent.span_id == a.get_span_context().span_id)
       for span in exporter.get_finished_spans()])
"""


def test_application_with_an_sdk_of_its_own_keeps_it_and_nothing_is_traced_twice(traced: Traced) -> None:
    bare = traced.bare(HEAD + SDK, "")
    result = traced.run(HEAD + SDK, "")
    assert (result.code, result.out, result.err) == (bare.code, bare.out, bare.err)
    assert result.out == "[('b', True), ('a', None)]\n"
    assert "opentelemetry.sdk.trace.TracerProvider" in traced.log()
    assert [record["decision"] for record in traced.records()] == ["not"]
    assert "OpenTelemetry provider of its own" in traced.records()[0]["reason"]
    assert traced.sink.spans == []


def test_provider_that_the_environment_names_is_noticed_too(traced: Traced) -> None:
    code = HEAD + "with tracer.start_as_current_span('x') as span: print(type(span).__module__)"
    result = traced.run(code, "", OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider")
    assert (result.out, result.err) == ("opentelemetry.sdk.trace\n", "")
    assert [record["decision"] for record in traced.records()] == ["not"] and traced.sink.spans == []


def test_no_op_provider_is_no_reason_to_stand_down(traced: Traced) -> None:
    traced.run(
        HEAD + "trace.set_tracer_provider(trace.NoOpTracerProvider())\nimport pillion\nwith pillion.span('s'): pass", ""
    )
    traced.sink.wait(lambda: len(traced.sink.spans) == 1)
    assert [record["decision"] for record in traced.records()] == ["injected"]


def test_api_that_was_imported_before_pillion_is_bridged_all_the_same(program: Program) -> None:
    code = """
import os, sys
if sys.argv[1]:
    sys.path.insert(0, sys.argv[1])
from opentelemetry import trace
from pillion import start
start.boot()
with trace.get_tracer("late").start_as_current_span("late"):
    pass
from pillion import _native
_native.flush(5)
"""
    environ = program.environ(PYTHONPATH=str(AGENT))
    result = program.execute([sys.executable, str(program.write(code)), program.api_path], environ)
    assert (result.code, result.err) == (0, "")
    program.sink.wait(lambda: len(program.sink.named("late")) == 1)


def test_application_without_opentelemetry_never_loads_any_of_it(traced: Traced) -> None:
    result = traced.run(
        "import sys; print([m for m in sys.modules if 'opentelemetry' in m or m.startswith('pillion.otel')])"
    )
    assert result.out == "[]\n"
