# SPDX-License-Identifier: Apache-2.0
"""otel_baggage: OpenTelemetry's baggage, a mapping in its context, as the text of a baggage header and back."""

from __future__ import annotations

import sys
from urllib.parse import quote, unquote

from pillion._native import Remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from pillion._native import Span

SAFE = "!#$&'()*+-./:<=>?@[]^_`{|}~"  # what a baggage value may hold unencoded
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # of a name


def key() -> str | None:
    """Under which key the API keeps the baggage in a context; None: nobody has loaded its baggage."""
    found: str | None = getattr(sys.modules.get("opentelemetry.baggage"), "_BAGGAGE_KEY", None)
    return found


def into(context: dict[str, Any], now: Span | Remote | None, before: Span | Remote | None) -> None:
    """Another span became current: its baggage, for the API to see.

    Where both would send the same, the API's own mapping stays: it may hold objects, and names that are never sent.
    """
    name = key()
    if name is None:
        return
    text = now.baggage if now is not None else None
    has = context.get(name)
    if text == (before.baggage if before is not None else None) and (has or not text):
        return
    if text:
        context[name] = parse(text)
    else:
        context.pop(name, None)


def out_of(context: Any, known: str | None) -> str | None:
    """The header for a context's baggage. `known` where it says the same: then nothing of it is lost."""
    name = key()
    if name is None:
        return known
    baggage = context.get(name)
    if not baggage:
        return None
    if known and parse(known) == {name: str(value) for name, value in baggage.items()}:
        return known
    return header(baggage)


def header(baggage: Mapping[str, object]) -> str | None:
    """Within the standard's limits; names that can't stand in a header are left out. None: nothing is left."""
    named = [(name, value) for name, value in baggage.items() if name and TOKEN.issuperset(name)]
    text = ",".join(f"{name}={quote(str(value), SAFE, errors='replace')}" for name, value in named)
    try:
        return Remote(baggage=text).baggage if text else None
    except ValueError:
        return None


def parse(text: str) -> dict[str, object]:
    """Of a header that the native side has cleaned. Properties stay with the value, as OpenTelemetry has them."""
    members = (member.partition("=") for member in text.split(","))
    return {name.strip(): unquote(value.strip()) for name, _, value in members if name.strip()}
