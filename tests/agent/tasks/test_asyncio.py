# SPDX-License-Identifier: Apache-2.0
"""asyncio, and what is built on it or beside it: every task keeps its own span, whoever closes what, and when."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio_and_trio_keep_their_parents_over_task_groups_and_threads(programs: Programs, backend: str):
    tree = programs.pair("nurseries.py", backend, spans=19).tree()
    assert {name: ways[0] for name, ways in tree.items() if ways != [""]} == {
        "after the generator": "consumer",
        "back from thread": "thread < group",
        "back from unrelated": "unrelated",
        "back in trio": "trio thread < nursery",
        "cancelled": "group",
        "child 0": "group",
        "child 1": "group",
        "child 2": "group",
        "generator": "consumer",
        "in the nursery": "nursery",
        "number 0": "generator < consumer",
        "thread": "group",
        "through the portal": "portal",
        "trio thread": "nursery",
    }


@pytest.mark.parametrize("patched", ["early", "late", "bare"])
def test_greenlets_switch_in_the_middle_of_spans_and_keep_their_own(programs: Programs, patched: str):
    """A greenlet begins without a span, as it has no context of contextvars; a thread of gevent's has one."""
    run = programs.pair("greenlets.py", patched, spans={"early": 45, "late": 42, "bare": 25}[patched])
    tree = run.tree()
    names = ["alone", "one", "two", *(f"spawned {n}" for n in range(3)), *(f"pooled {n}" for n in range(2))]
    for name in names:
        assert (tree[name], tree[f"{name} inside"]) == ([""], [name])
    assert tree["between"] == ["switching"]
    if patched != "bare":
        assert tree["in a thread"] == ["threads"]
        assert tree["GET"] == sorted(["", *(f"ask {n}" for n in range(4) for _ in range(2))])
    if patched == "early":
        assert tree["in a pool"] == ["threads"]
