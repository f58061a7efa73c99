# SPDX-License-Identifier: Apache-2.0
"""The opentelemetry hook fits the installed API and leaves nothing behind; test_otel_api.py has what it does."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from pillion.hooks import opentelemetry

from tests.support.sink import Sink
from tests.support.traced import Traced


@pytest.fixture
def program(run_dir: Path, sink: Sink, tmp_path: Path) -> Traced:
    return Traced(run_dir, tmp_path, sink)


@pytest.mark.parametrize("address", opentelemetry.TARGETS)
def test_target_exists_in_the_installed_version(address: str) -> None:
    module, _, qualname = address.partition(":")
    found = import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    assert callable(found)


def test_after_standing_down_the_api_is_as_it_was_and_open_spans_do_no_harm(program: Traced) -> None:
    result = program.run("""
        from opentelemetry import context, trace
        from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
        from pillion import start
        tracer = trace.get_tracer("t")
        with tracer.start_as_current_span("open") as span:
            token = context.attach(context.set_value("k", "v"))
            start.stand_down("a test")
            assert trace.get_current_span() is span
            assert context.get_value("k") == "v"
            context.detach(token)
            assert context.get_value("k") is None
        assert trace.get_current_span() is trace.INVALID_SPAN
        for owner in (ContextVarsRuntimeContext, trace.ProxyTracer):
            for name in vars(owner):
                assert "Wrapper" not in type(vars(owner)[name]).__name__, name
        assert type(trace.get_tracer("u")._noop_tracer) is trace.NoOpTracer
    """)
    assert (result.code, result.err) == (0, "")
    assert "a test" in program.log()


def test_switched_off_the_api_is_untouched(program: Traced) -> None:
    result = program.run(
        """
        from opentelemetry import trace
        with trace.get_tracer("t").start_as_current_span("x") as span:
            print(type(span).__name__, span.is_recording())
        """,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="opentelemetry",
    )
    assert (result.out, result.err) == ("NonRecordingSpan False\n", "")
