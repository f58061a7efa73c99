# SPDX-License-Identifier: Apache-2.0
"""asyncio, and what is built on it or beside it: every task keeps its own span, whoever closes what, and when."""

from __future__ import annotations

from tests.agent.tasks.conftest import Programs, Python


def test_asyncio_tasks_groups_and_generators_closed_late_keep_their_parents(programs: Programs, python: Python):
    run = programs.pair("coroutines.py", python=python, spans=30)
    assert run.tree() == {}
