# SPDX-License-Identifier: Apache-2.0
"""asyncio, and what is built on it or beside it: every task keeps its own span, whoever closes what, and when."""

from __future__ import annotations

from tests.agent.tasks.conftest import Programs, Python


def test_asyncio_tasks_groups_and_generators_closed_late_keep_their_parents(programs: Programs, python: Python):
    """What shuts the loop down closes the last generator in a context of its own: contextvars know no better."""
    run = programs.pair("coroutines.py", python=python, spans=30)
    roots = ("caller closed", "caller collected", "callbacks", "cancelling", "gathering", "group", "root", "spawner")
    tree = run.tree()
    assert {name for name, ways in tree.items() if ways == [""]} == {
        *roots,
        "generator at shutdown",
        "cleanup at shutdown",
    }
    assert {name: ways for name, ways in tree.items() if ways != [""]} == {
        "after closed": ["caller closed"],
        "after collected": ["caller collected"],
        "after group": ["group"],
        "cancelled": ["cancelling"],
        "cleanup closed": ["generator closed < caller closed"],
        "cleanup collected": ["generator collected < caller collected"],
        "failing sibling": ["group"],
        "gathered 0": ["gathering"],
        "gathered 1": ["gathering"],
        "gathered 2": ["gathering"],
        "generator closed": ["caller closed"],
        "generator collected": ["caller collected"],
        "later": ["callbacks"],
        "number at shutdown": ["generator at shutdown"],
        "number closed": ["generator closed < caller closed"],
        "number collected": ["generator collected < caller collected"],
        "sibling": ["group"],
        "soon": ["callbacks"],
        "spawned": ["spawner"],
        "timed out": ["cancelling"],
    }
    assert not [span.name for span in run.spans if span.status == 2], "to be cancelled is no error"
