# SPDX-License-Identifier: Apache-2.0
"""report: what a run did and what came of it, as a table or as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.verdict import Verdict

SHOWN = 20  # faults


@dataclass
class Report:
    """One run."""

    seed: int
    seconds: float
    verdict: Verdict
    did: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    load: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        told = self.verdict
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "balanced": told.balanced,
            "truth": {"processes": told.processes, "ended": told.ended, "unsure": told.open, "missing": told.missing},
            "store": {"spans": told.spans, "numbered": told.stored, "unfinished": told.unfinished},
            "ledger": {
                "processes": told.ledgers,
                "recorded": told.recorded,
                "stored": told.ledger_stored,
                "dropped": dict(told.dropped),
            },
            "monkey": self.did,
            "load": self.load,
            "notes": self.notes,
            "faults": told.faults,
        }

    def as_text(self) -> str:
        told = self.verdict
        lost = sum(told.dropped.values())
        rows: list[tuple[str, object]] = [
            ("what went wrong", ""),
            *((f"  {name}", count) for name, count in sorted(self.did.items())),
            ("the load", ""),
            *((f"  {name}", count) for name, count in self.load.items()),
            ("by the applications' own accounts", ""),
            ("  processes that made spans", told.processes),
            ("  spans ended", told.ended),
            ("  … in whose end the process died", told.open),
            ("in the store", ""),
            ("  spans", told.spans),
            ("  … with a number of the accounts", told.stored),
            ("  … requests that never ended", told.unfinished),
            ("  numbers missing", told.missing),
            ("by pillion's ledger", ""),
            ("  processes", told.ledgers),
            ("  recorded", told.recorded),
            ("  stored", told.ledger_stored),
            ("  dropped", lost),
            *((f"    {reason}", count) for reason, count in sorted(told.dropped.items()) if count),
        ]
        lines = [f"{name:<44}{value:>12,}" if isinstance(value, int) else name for name, value in rows]
        lines += self.notes
        lines += [f"FAULT {fault}" for fault in told.faults[:SHOWN]]
        if len(told.faults) > SHOWN:
            lines.append(f"… and {len(told.faults) - SHOWN} faults more")
        end = "the ledger balances to the span" if told.balanced else "the ledger does NOT balance"
        return "\n".join([*lines, f"{end} (seed {self.seed}, {self.seconds:.0f} s)"])
