# SPDX-License-Identifier: Apache-2.0
"""guest: one program run bare and traced, which must end alike in output, errors and exit code to the byte."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.traced import Result, Traced


@dataclass
class Both:
    """How the program ended in both ways; equal in all that the application can be seen by."""

    bare: Result
    ours: Result


def lines(run: Result) -> list[str]:
    """All that is seen of a run from outside."""
    return [f"exit code {run.code}", *run.out.splitlines(), "stderr:", *run.err.splitlines()]


def same(traced: Traced, code: str, *args: str, python: str = sys.executable, **env: str) -> Both:
    """Runs the code both ways and compares. What pillion itself logged is no part of it: see `quiet`."""
    bare = traced.bare(code, *args, python=python, **env)
    ours = traced.run(code, *args, python=python, **env)
    told, told_bare = lines(ours), lines(bare)
    assert told == told_bare, "\n".join(difflib.unified_diff(told_bare, told, "bare", "traced", lineterm="", n=1))
    assert (ours.out, ours.err) == (bare.out, bare.err)
    return Both(bare, ours)


def was_traced(traced: Traced, enough: Callable[[], bool] | None = None) -> None:
    """The run before was no bare one: the boot says so, nothing went wrong in it, and its spans come."""
    records = traced.records()
    assert records and all(record["decision"] == "injected" for record in records), records
    assert traced.log() == ""
    traced.sink.adopt()
    if enough is not None:
        traced.sink.wait(enough)
