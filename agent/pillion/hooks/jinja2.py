# SPDX-License-Identifier: Apache-2.0
"""jinja2: one INTERNAL span for each template that is rendered, streamed ones until their stream ends.

Includes and parents are part of the template that was asked for.
"""

from __future__ import annotations

from pillion.patch import INTERNAL, Call, Target

NAMES = 1024
_known: dict[str, tuple[str, dict[str, object]]] = {}


def describe(call: Call) -> tuple[str, dict[str, object]]:
    name = call.get(0, "self").name
    return _known.get(name) or named(name)


def named(name: object) -> tuple[str, dict[str, object]]:
    """An application has few templates: what was made for one is kept."""
    if type(name) is not str:  # made from a string
        return "render template", {}
    if len(_known) >= NAMES:
        _known.clear()
    described = _known[name] = (f"render {name}", {"pillion.template.name": name})
    return described


def describe_sync(call: Call) -> tuple[str, dict[str, object]] | None:
    """In an asynchronous environment these two run the asynchronous ones, which have the span."""
    return None if call.get(0, "self").environment.is_async else describe(call)


TARGETS = {
    "jinja2.environment:Template.render": Target(INTERNAL, describe_sync),
    "jinja2.environment:Template.generate": Target(INTERNAL, describe_sync),
    "jinja2.environment:Template.render_async": Target(INTERNAL, describe, optional=True),
    "jinja2.environment:Template.generate_async": Target(INTERNAL, describe, optional=True),
}
