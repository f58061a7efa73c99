# SPDX-License-Identifier: Apache-2.0
"""The last word on a ring: whose it was, how that ended, and its ledger: recorded = stored + dropped. Pure."""

from __future__ import annotations

import uuid
from typing import Any, Final

import orjson

from pillion_collector.protobuf import strings
from pillion_collector.rings import Flight, Ring
from pillion_collector.store import EndRow, Mark

_LARGEST: Final = 2**62  # of a number in a foreign file
_BEGUN: Final = 64  # spans that may have been counted and were not written yet: one a thread
_QUIETLY: Final = 15  # SIGTERM asks to end


def end_of(
    ring: Ring, process: str, pid: int, mark: Mark | None, exit: dict[str, Any], flights: list[Flight], now_ns: int
) -> EndRow:
    """`mark`: after everything in the ring was stored. `flights`: those that did not end after all."""
    told = strings(ring.resource)
    stored = mark.spans if mark is not None else 0
    recorded = min(ring.counters.get("recorded", 0), _LARGEST)
    return EndRow(
        ring=ring.ring_id,
        time_ns=now_ns,
        process=process,
        pid=pid,
        service=told.get("service.name", "")[:1000],
        instance=instance_of(ring, told) or "",
        command=told.get("process.executable.name", "")[:1000],
        began_ns=min(ring.created_ns, _LARGEST),
        exit=orjson.dumps(exit).decode(),
        orderly=ring.ended,
        crash=_is_crash(ring, exit, flights),
        recorded=recorded,
        stored=stored,
        dropped=orjson.dumps(_dropped(ring, recorded, stored, mark.rejected if mark is not None else 0)).decode(),
        flights=orjson.dumps([_plain(flight) for flight in flights]).decode(),
        duplicates=mark.duplicates if mark is not None else 0,
    )


def lost(counters: dict[str, int]) -> dict[str, int]:
    """Reason -> spans, of the counters of a ring."""
    return {
        name.removeprefix("dropped_"): min(number, _LARGEST)
        for name, number in counters.items()
        if number and (name == "rejected" or name.startswith("dropped_"))
    }


def instance_of(ring: Ring, told: dict[str, str]) -> str | None:
    """service.instance.id: as the resource tells it, or else the ring."""
    if "service.instance.id" in told:
        return told["service.instance.id"][:1000]
    return str(uuid.UUID(bytes=ring.instance)) if any(ring.instance) else None


def _dropped(ring: Ring, recorded: int, stored: int, rejected: int) -> dict[str, int]:
    dropped = lost(ring.counters)
    if rejected:
        dropped["rejected"] = dropped.get("rejected", 0) + rejected
    missing = recorded - stored - sum(dropped.values())
    # What makes no sense, and what a thread was in the middle of; more than that is not explained away.
    for reason, most in (("bad", ring.refused), ("torn", ring.skipped + _BEGUN)):
        if (number := min(missing, most)) > 0:
            dropped[reason] = dropped.get(reason, 0) + number
            missing -= number
    return dropped


def _is_crash(ring: Ring, exit: dict[str, Any], flights: list[Flight]) -> bool:
    if ring.ended or "exec" in exit:
        return False
    return bool(flights) or exit.get("signal", _QUIETLY) != _QUIETLY or exit.get("code", 0) != 0


def _plain(flight: Flight) -> dict[str, Any]:
    return {
        "name": flight.name,
        "detail": flight.detail,
        "kind": flight.kind,
        "trace_id": flight.trace_id,
        "span_id": flight.span_id,
        "parent_id": flight.parent_id or None,
        "start_ns": str(flight.start_ns),
    }
