# SPDX-License-Identifier: Apache-2.0
"""What is stored of one look at a process: points, and a resource where it has sent none, or one that knows less."""

from __future__ import annotations

import hashlib
import time

import orjson

from pillion_collector.processes_find import Found
from pillion_collector.processes_read import METRICS, SUM, Sample
from pillion_collector.store import PointRow, ResourceRow


def resource_of(found: Found, started_ns: int, container: str | None) -> tuple[ResourceRow, bool]:
    """Under which resource the process's points are stored, and whether it is one of ours, to be stored as well."""
    received = found.resource_row
    if received is None:
        return _own_resource(found, started_ns, container), True
    if container is None or "container.id" in received.attributes:
        return received, False
    # The process couldn't see its container's id, and we can.
    attributes = {**received.attributes, "container.id": orjson.dumps(container).decode()}
    return received._replace(resource_id=_key(received.resource_id, container), attributes=attributes), True


def points_of(sample: Sample, resource_id: int, began_ns: int) -> list[PointRow]:
    """The points of one look, named as the conventions name them."""
    rows = []
    for (name, which), value in sample.values.items():
        metric = METRICS[name]
        attributes = {metric.attribute: orjson.dumps(which).decode()} if metric.attribute else None
        rows.append(
            PointRow(
                sample.time_ns,
                resource_id,
                name,
                metric.unit,
                value,
                metric.kind,
                attributes,
                began_ns if metric.kind == SUM else 0,
                metric.monotonic,
                2 if metric.kind == SUM else 0,
            )
        )
    return rows


def _own_resource(found: Found, started_ns: int, container: str | None) -> ResourceRow:
    """The resource of a process that has sent nothing yet: what is known of it, under an id made from its identity."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started_ns / 1e9))
    attributes = {
        "service.name": found.service or "",
        "service.instance.id": found.instance or "",
        "process.pid": found.who.pid,
        "process.creation.time": created,
        "process.executable.name": found.command,
        "container.id": container or "",
    }
    key = _key(found.service, found.instance, found.id, container)
    encoded = {name: orjson.dumps(value).decode() for name, value in attributes.items() if value != ""}
    return ResourceRow(key, found.service or "", found.instance or "", found.who.pid, encoded)


def _key(*parts: object) -> int:
    """An id made from what a resource is."""
    text = "\0".join("" if part is None else str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
