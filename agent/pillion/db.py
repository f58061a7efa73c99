# SPDX-License-Identifier: Apache-2.0
"""db: the conventions about queries that every SQL hook shares. Runs in the application's thread before each query.

An application has few query texts and runs each of them often: what was made for one is kept and given again, so
whoever gets it must not change it. At most KNOWN texts are kept; when that's full it begins anew.
"""

from __future__ import annotations

from pillion._native import Queries, sql

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Tuple

    Described = Optional[Tuple[str, Mapping[str, object]]]
    Place = Optional[Tuple[object, object, object]]  # host, port, database; what is not known is None or empty

KNOWN = 1024  # texts
KNOWN_CHARS = 4096  # a text; longer ones are described each time
_known: dict[tuple[str, str, bool, Place], Described] = {}


def is_given(parameters: object) -> bool:
    """Was anything passed beside the text? Asks nothing of objects that aren't Python's own."""
    return bool(parameters) if type(parameters) in (tuple, list, dict) else parameters is not None


def describe_query(system: str, text: object, parameterised: bool, place: Place = None) -> Described:
    """Name and attributes of one query; None: it is no text, the driver will say so."""
    if type(text) is not str or len(text) > KNOWN_CHARS:
        return _describe(system, text, parameterised, place)
    key = (system, text, parameterised, place)
    described = _known.get(key)
    if described is None:
        if len(_known) >= KNOWN:
            _known.clear()
        described = _known[key] = _describe(system, text, parameterised, place)
    return described


def queries(system: str, text: tuple[int, str], *parameters: tuple[int, str]) -> Queries:
    """A hook's describe, in C: the text's place in the call, and that of what is passed beside it."""
    return Queries(lambda text, parameterised: _describe(system, text, parameterised), text, *parameters)


def _describe(system: str, text: object, parameterised: bool, place: Place = None) -> Described:
    if not isinstance(text, str):
        return None
    shown, summary, operation, collection = sql(text, parameterised)
    attributes: dict[str, object] = {"db.system.name": system}
    if shown:
        attributes["db.query.text"] = shown
    if summary is not None:
        attributes["db.query.summary"] = summary
    if operation is not None:
        attributes["db.operation.name"] = operation
    if collection is not None:
        attributes["db.collection.name"] = collection
    attributes.update(where(place))
    return summary or system, attributes


def where(place: Place) -> dict[str, object]:
    """A place as attributes; what is None or empty is left out."""
    named = zip(("server.address", "server.port", "db.namespace"), place or ())
    return {name: value for name, value in named if value}


def with_batch(described: Described, batch: object) -> Described:
    """With the number of parameter sets: known of a list or a tuple only, and told only of more than one."""
    size = len(batch) if type(batch) is list or type(batch) is tuple else 0
    return (
        described
        if described is None or size < 2
        else (described[0], {**described[1], "db.operation.batch.size": size})
    )
