# SPDX-License-Identifier: Apache-2.0
"""pillion's own numbers: the ledger of each process and of the collector, for /api/stats, /metrics and live events.

Counters come from the receiver and the store's own counting; live rings are asked for their header only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pillion_collector import VERSION, query_crashes, query_ledger

if TYPE_CHECKING:
    from pillion_collector.api import Collector

RECENT_NS = 15 * 60 * 10**9


def stats(collector: Collector) -> dict[str, Any]:
    """Answer of /api/stats."""
    collector.processes.read_rings()
    ledgers, total = query_ledger.ledgers(collector.store, collector.processes.known())
    return {"collector": _collector(collector), "processes": ledgers, "total": total}


def live(collector: Collector) -> dict[str, Any]:
    """What a live event says: cheap, for it is asked after commits."""
    now = time.time_ns()
    rows = collector.store.query(
        "SELECT max(start_ns + duration_ns), count(DISTINCT service) FROM spans WHERE start_ns >= ?", [now - RECENT_NS]
    )
    newest, services = rows[0] if rows else (None, 0)
    return {
        "spans": total_spans(collector),
        "newest_ns": str(newest or 0),
        "services": services,
        "processes": sum(one.alive for one in collector.processes.known()),
        "crashes": query_crashes.count(collector.store),
        "points": collector.store.stats().get("stored", {}).get("points", 0),  # charts of processes grow without spans
    }


def total_spans(collector: Collector) -> int:
    return int(collector.store.query("SELECT count(*) FROM spans")[0][0])


def _collector(collector: Collector) -> dict[str, Any]:
    receiver, store = collector.receiver, collector.store.stats()
    return {
        "version": VERSION,
        "uptime_s": round((time.time_ns() - collector.started_ns) / 1e9, 3),
        "received": {**dict.fromkeys(("traces", "metrics", "logs"), 0), **receiver.accepted, "bytes": receiver.bytes},
        "stored": store.get("stored", {}),
        "duplicates": store.get("duplicates", 0),
        "adopted": collector.adopter.counts["adopted"],
        "refused": {f"{kind}:{reason}": number for (kind, reason), number in receiver.refused.items()},
        "queue": store.get("queue", {}),
        "store_bytes": store.get("bytes", 0),
        "trouble": store.get("trouble"),
    }
