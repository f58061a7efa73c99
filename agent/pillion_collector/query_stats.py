# SPDX-License-Identifier: Apache-2.0
"""pillion's own numbers: the ledger of each process and of the collector, for /api/stats, /metrics and live events.

Counters come from the receiver and the store's own counting; live rings are asked for their header only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pillion_collector import VERSION

if TYPE_CHECKING:
    from pillion_collector.api import Collector

RECENT_NS = 15 * 60 * 10**9


def stats(collector: Collector) -> dict[str, Any]:
    """Answer of /api/stats."""
    return {"collector": _collector(collector), "processes": _ledgers(collector)}


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
        "refused": {f"{kind}:{reason}": number for (kind, reason), number in receiver.refused.items()},
        "queue": store.get("queue", {}),
        "store_bytes": store.get("bytes", 0),
        "trouble": store.get("trouble"),
    }


def _ledgers(collector: Collector) -> list[dict[str, Any]]:
    """Of every process that has, or had, a ring or stored spans."""
    collector.processes.read_rings()
    rows = collector.store.query(
        "SELECT r.service, r.instance, sum(s.spans)"
        " FROM (SELECT resource_id, count(*) AS spans FROM spans GROUP BY ALL) s"
        " JOIN (SELECT DISTINCT resource_id, service, instance FROM resources) r USING (resource_id) GROUP BY ALL"
    )
    stored = {(row[0], row[1]): int(row[2]) for row in rows if row[1]}
    found = []
    for process in collector.processes.known():
        told, ledger = process.found, process.ledger
        spans = stored.get((told.service or "", told.instance or ""), 0)
        if ledger is None and not spans:
            continue
        found.append(
            {
                "id": told.id,
                "pid": told.pid,
                "service": told.service,
                "recorded": ledger and ledger.recorded,
                "sent": ledger and ledger.sent,
                "stored": spans,
                "dropped": dict(ledger.lost) if ledger else {},
                "waiting": ledger and ledger.waiting,
                "in_flight": ledger and ledger.in_flight,
            }
        )
    return found
