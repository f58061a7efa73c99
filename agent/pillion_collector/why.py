# SPDX-License-Identifier: Apache-2.0
"""Why each process of the node is instrumented or not, for the API: what `pillion why --all` says, kept some seconds.

Looks at every process of /proc that this collector may see; what it may not read is told as such.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from pillion import guarded, why, why_records, why_rules

from pillion_collector import neighbours
from pillion_collector.neighbours import RECORD, Troubles

KEPT_S = 3.0  # a page asks again with each change
_SHOWN = ("id", "pid", "own_pid", "start_ticks", "pid_ns", "uid", "parent_pid", "exe", "command", "alive", "decision",
          "code", "means", "reason", "evidence", "do", "service", "python", "via", "root", "pillion",
          "notes")  # fmt: skip


class Why:
    """May be asked from any thread; those who come while one is looking wait for its answer."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = str(run_dir)
        self._lock = threading.Lock()
        self._due = 0.0
        self._answer: dict[str, Any] = {}

    def answer(self) -> dict[str, Any]:
        """Every process that is or could be Python, the ended first; and what is left alone because it crashed."""
        with self._lock:
            if time.monotonic() >= self._due:
                self._answer = self._look()
                self._due = time.monotonic() + KEPT_S
            return self._answer

    def _look(self) -> dict[str, Any]:
        files = neighbours.find(f"{self._run_dir}/processes", RECORD, Troubles())  # bounded; who reads them all counts
        rows = why.find(why_records.ordered(file.path for file in files), self._run_dir)
        crashed = [{**one, "until_ns": str(one["until_ns"])} for one in guarded.verdicts(self._run_dir)]
        for one in crashed:
            one["deaths"] = [{**death, "time_ns": str(death["time_ns"])} for death in one["deaths"]]
        problems = why_rules.problems(row["root"] for row in rows if row.get("root"))
        return {"processes": [_shown(row) for row in rows], "crashed": crashed, "rules": problems}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    started = row.get("started_ns")
    return {**{key: row.get(key) for key in _SHOWN}, "started_ns": None if started is None else str(started)}
