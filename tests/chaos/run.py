# SPDX-License-Identifier: Apache-2.0
"""run: a whole run from the first start to the verdict, for the command line and for the tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.chaos import truth
from tests.chaos.load import Load
from tests.chaos.monkey import Monkey
from tests.chaos.node import Node
from tests.chaos.report import Report
from tests.chaos.verdict import Store, judge

Say = Callable[[str], None]
ADOPTION_S = 60.0  # without progress
PROGRESS_S = 10.0


def chaos(node: Node, seconds: float, seed: int, rate: int, say: Say, progress: Say) -> Report:
    """Load and monkey for so long, then the reckoning. KeyboardInterrupt ends the load early, not the reckoning."""
    begin = time.monotonic()
    node.start()
    load = Load(node, rate, seed)
    monkey = Monkey(node, load, seed, say)
    load.start()
    monkey.start()
    interrupted = False
    try:
        while (left := begin + seconds - time.monotonic()) > 0 and not monkey.errors:
            time.sleep(min(left, PROGRESS_S))
            progress(f"{time.monotonic() - begin:4.0f} s: {_state(node, load, monkey)}")
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress("stopping")
        monkey.stop()
        load.stop()
    report = reckon(node, seed, begin, progress)
    report.did.update(monkey.did)
    starts = sum(app.starts for app in load.apps)
    report.load = {
        "applications started": starts,
        "short-lived processes": load.shorts,
        "requests answered": load.requests,
        "requests that lost their worker": load.failed,
        "collector started": node.starts,
    }
    if interrupted:
        report.notes.append("ended early by Ctrl-C")
    report.verdict.faults += [f"the monkey: {error!r}" for error in monkey.errors]
    return report


def reckon(node: Node, seed: int, begin: float, progress: Say) -> Report:
    """Waits until every ring is adopted, ends the collector and compares."""
    progress(f"waiting for {len(node.rings())} rings to be adopted")
    left = adopted(node)
    told = node.stats()["total"]
    code = node.end()
    verdict = judge(list(truth.read(node.truth)), Store(node.data))
    if (told["recorded"], told["stored"], told["balanced"]) != (verdict.recorded, verdict.ledger_stored, True):
        verdict.faults.append(f"/api/stats says {told}")
    if left:
        verdict.faults.insert(0, f"{left} rings were never adopted")
    if code:
        verdict.faults.append(f"the collector ended with exit code {code}: {node.said()}")
    report = Report(seed, time.monotonic() - begin, verdict)
    if node.disk and node.disk.lack:
        report.notes.append(f"skipped: a full disk, which needs a tmpfs of its own ({node.disk.lack})")
    return report


def adopted(node: Node, seconds: float = ADOPTION_S) -> int:
    """Rings that are left: none, or those after so long without any progress. All processes must have ended."""
    seen, since = (0, 0), time.monotonic()
    while (left := len(node.rings())) and time.monotonic() < since + seconds:
        time.sleep(0.1)
        stored = node.stats().get("collector", {}).get("stored", {}).get("spans", 0)
        if (left, stored) != seen:
            seen, since = (left, stored), time.monotonic()
    return left


def _state(node: Node, load: Load, monkey: Monkey) -> str:
    accounts = list(truth.read(node.truth))
    spans = sum(account.ended for account in accounts)
    alive = sum(len(app.pids()) for app in load.apps)
    return (
        f"{spans:,} spans of {len(accounts):,} processes, {alive} alive, {len(node.rings())} rings,"
        f" {load.requests:,} requests, {sum(monkey.did.values())} troubles"
    )
