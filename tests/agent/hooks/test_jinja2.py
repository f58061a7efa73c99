# SPDX-License-Identifier: Apache-2.0
"""jinja2: one INTERNAL span for each template that was asked for, in every way of rendering."""

from __future__ import annotations


def test_every_rendering_is_one_span_and_the_program_cannot_tell(traced):
    run = traced("jinja_pages.py")
    assert [span.name for span in run.spans] == [
        "render page.html",
        "render child.html",
        "render template",
        "render list.html",
        "render list.html",
        "render bad.html",
        "render part.html",
        "render page.html",
        "render list.html",
        "render template",
    ]
    assert {(span.kind, span.scope) for span in run.spans} == {("INTERNAL", "pillion.jinja2")}
    assert "secret" not in str(run.spans)


def test_template_has_its_name_as_attribute_and_one_from_text_has_none(traced):
    run = traced("jinja_pages.py")
    assert run.named("render child.html").attributes == {"pillion.template.name": "child.html"}
    assert [span.attributes for span in run.spans if span.name == "render template"] == [{}, {}]


def test_error_in_a_template_is_on_its_span(traced):
    bad = traced("jinja_pages.py").named("render bad.html")
    assert (bad.status, bad.attributes["error.type"]) == ("error", "ZeroDivisionError")
    assert [name for name, _ in bad.events] == ["exception"]


def test_stream_that_is_closed_early_is_no_error(traced):
    streams = [span for span in traced("jinja_pages.py").spans if span.name == "render list.html"]
    assert [span.status for span in streams] == ["unset", "unset", "unset"]
