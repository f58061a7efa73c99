# SPDX-License-Identifier: Apache-2.0
"""db: the conventions about queries that every SQL hook shares. Runs in the application's thread before each query."""

from __future__ import annotations

from pillion._native import sql


def is_given(parameters: object) -> bool:
    """Was anything passed beside the text? Asks nothing of objects that aren't Python's own."""
    return bool(parameters) if type(parameters) in (tuple, list, dict) else parameters is not None


def describe_query(
    system: str, text: object, parameterised: bool, batch: object = None
) -> tuple[str, dict[str, object]] | None:
    """Name and attributes of one query; None: it is no text, the driver will say so.

    `batch` is the sequence of parameter sets; its size is known only of a list or a tuple."""
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
    if type(batch) in (list, tuple) and len(batch) > 1:  # type: ignore[arg-type]
        attributes["db.operation.batch.size"] = len(batch)  # type: ignore[arg-type]
    return summary or system, attributes
