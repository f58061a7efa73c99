# SPDX-License-Identifier: Apache-2.0
"""logging: each record knows its trace; what the application prints stays the same unless it's asked for."""

from __future__ import annotations

import json

import pytest

PROGRAM = "logging_lines.py"


@pytest.fixture
def kept(receiver, tmp_path):
    """The fields of three records (outside, inside, with a field of the application's own), and the run."""
    run = receiver.run(PROGRAM, str(tmp_path / "kept"), OTEL_SERVICE_NAME="lines")
    assert run.log == ""
    return [*json.loads((tmp_path / "kept").read_text()), run]


def test_output_is_the_same_to_the_byte(traced, tmp_path):
    assert "inside it" in traced(PROGRAM, str(tmp_path / "kept")).out


def test_record_inside_a_span_carries_its_ids(kept):
    _, inside, _, run = kept
    span = run.named("render template")
    assert inside == {
        "otelTraceID": span.trace_id,
        "otelSpanID": span.span_id,
        "otelTraceSampled": True,
        "otelServiceName": "lines",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "trace_flags": "03",
    }


def test_record_outside_of_a_span_can_be_formatted_all_the_same(kept):
    assert kept[0] == {
        "otelTraceID": "0",
        "otelSpanID": "0",
        "otelTraceSampled": False,
        "otelServiceName": "lines",
        "trace_id": "",
        "span_id": "",
        "trace_flags": "",
    }


def test_field_that_the_application_set_is_left_alone(kept):
    assert kept[2]["trace_id"] == "of the application"
    assert kept[2]["otelTraceID"] == kept[3].named("render template").trace_id


def test_default_format_gets_the_ids_when_asked_and_other_formats_do_not(receiver, tmp_path):
    run = receiver.run(PROGRAM, str(tmp_path / "kept"), OTEL_PYTHON_LOG_CORRELATION="true")
    assert "OWN WARNING inside it\n" in run.out
    assert f"[trace_id={run.named('render template').trace_id} " in run.out
    assert run.log == ""


def test_format_of_the_user_is_taken_when_asked(receiver, tmp_path):
    asked = {"OTEL_PYTHON_LOG_CORRELATION": "true", "OTEL_PYTHON_LOG_FORMAT": "%(span_id)s|%(message)s"}
    run = receiver.run(PROGRAM, str(tmp_path / "kept"), **asked)
    assert f"\n{run.named('render template').span_id}|inside it\n" in run.out
    assert "|outside\n" in run.out
