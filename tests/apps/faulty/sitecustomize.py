# SPDX-License-Identifier: Apache-2.0
"""Makes every function of every hook misbehave, as FAULT says: raise, answer nonsense, or be slow.

Runs after pillion has started and before the program, so the hooks of what the program imports are loaded with it.
"""

import os
import sys
import time

NONSENSE = [
    42,
    ("name",),
    ("name", 7),
    (None, {}),
    {"key": object()},
    {7: 8},
    "\ud800",
    ("\ud800", {"\ud800": "\ud800"}),
    [],
]
turn = iter(range(10**9))


def fault(*args):
    """Stands in for describe, conclude and failed."""
    if os.environ["FAULT"] == "raise":
        raise RecursionError("of a hook")
    if os.environ["FAULT"] == "slow":
        time.sleep(0.02)
        return None
    return NONSENSE[next(turn) % len(NONSENSE)]


def spoil(hook):
    module = load(hook)
    for target in module.TARGETS.values():
        for name in ("describe", "conclude", "failed"):
            replaces = target.kind == REPLACE and os.environ["FAULT"] != "raise"  # its answer is the result
            if getattr(target, name) is not None and not replaces:
                setattr(target, name, fault)
    return module


if "pillion._native" in sys.modules:
    from pillion.hooks import Hook
    from pillion.patch import REPLACE

    load, Hook.load = Hook.load, spoil
