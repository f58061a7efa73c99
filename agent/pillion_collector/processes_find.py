# SPDX-License-Identifier: Apache-2.0
"""Who is there: boot's records and received resources, each as one `Found`. Foreign files: bounded, checked.

Called by the process reader's thread every few seconds; a few hundred small files.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from pillion_collector.processes_read import TICKS_A_SECOND, read_stat
from pillion_collector.store import ResourceRow

FILE_BYTES = 64 << 10
FILES = 10_000
KEEP_FILE_S = 600  # of a process that is gone, so that `pillion why` can still be asked
_NAME = re.compile(r"(\d{1,10})-(\d{1,20})\.json")
RING_NAME = re.compile(r"(\d{1,10})-(\d{1,20})(?:\.\d{1,4})?\.ring")  # .1, .2 …: more rings of one process


_RESOURCES = """SELECT DISTINCT ON (resource_id) resource_id, service, instance, pid, attributes
FROM resources WHERE pid IS NOT NULL"""


@dataclass(frozen=True)
class Found:
    """What is known of a process from outside. `remote`: only a received resource tells of it."""

    pid: int
    start_ticks: int
    service: str | None = None
    instance: str | None = None
    command: str = ""
    python: str | None = None
    decision: str | None = None
    reason: str | None = None
    resource_row: ResourceRow | None = None  # as received, never our own
    remote: bool = False

    @property
    def id(self) -> str:
        return f"{self.pid}-{self.start_ticks}"

    def merge(self, other: Found) -> Found:
        """The newer word wins where it says something; a received resource is kept."""
        news = {
            name: getattr(other, name)
            for name in ("service", "instance", "python", "decision", "reason", "resource_row")
        }
        if (
            other.resource_row is not None
            and self.resource_row is not None
            and self.instance == self.resource_row.instance
        ):
            news.pop("resource_row")
        return replace(
            self,
            command=self.command or other.command,
            remote=self.remote and other.remote,
            **{name: value for name, value in news.items() if value is not None},
        )


def find_files(run_dir: Path, troubles: Counter[str]) -> list[Found]:
    """Every record of boot; a broken one is counted and left alone."""
    try:
        entries = list(os.scandir(run_dir / "processes"))[:FILES]
    except OSError:
        return []
    return [one for entry in entries if (one := find_file(entry.path, troubles)) is not None]


def find_file(path: str, troubles: Counter[str]) -> Found | None:
    """One record of boot."""
    match = _NAME.fullmatch(os.path.basename(path))
    if match is None:
        return None
    record = _record(path)
    if record is None:
        troubles["bad_record"] += 1
        return None
    return _from_record(Found(int(match[1]), int(match[2])), record)


def forget_file(run_dir: Path, process_id: str, now_ns: int) -> None:
    """Removes the record of an ended process once it is old."""
    path = run_dir / "processes" / f"{process_id}.json"
    with contextlib.suppress(OSError):
        if path.stat().st_mtime_ns < now_ns - KEEP_FILE_S * 10**9:
            path.unlink()


def find_resources(store: Any, boot_s: float) -> list[Found]:
    """Processes of this node that told their pid and creation time in a received resource."""
    rows = store.query(_RESOURCES)
    found = []
    for resource_id, service, instance, pid, attributes in rows:
        stat = read_stat(pid) if 0 < pid < 1 << 31 else None
        created_s = _created_s(attributes)
        if stat is None or created_s is None or abs(boot_s + stat.start_ticks / TICKS_A_SECOND - created_s) > 2.0:
            continue
        row = ResourceRow(resource_id, service, instance, pid, attributes)
        command = _plain(attributes.get("process.executable.name")) or stat.name
        python = _plain(attributes.get("process.runtime.version"))
        found.append(
            Found(
                pid, stat.start_ticks, service or None, instance or None, command, python, resource_row=row, remote=True
            )
        )
    return found


def _record(path: str) -> dict[str, Any] | None:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            record = orjson.loads(file.read(FILE_BYTES))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _from_record(one: Found, record: dict[str, Any]) -> Found:
    def text(key: str) -> str | None:
        value = record.get(key)
        return value[:1000] if isinstance(value, str) and value else None

    command = os.path.basename(text("exe") or "")
    return replace(
        one,
        service=text("service"),
        instance=text("instance"),
        command=command,
        python=text("python"),
        decision=text("decision"),
        reason=text("reason"),
    )


def _created_s(attributes: dict[str, str]) -> float | None:
    text = _plain(attributes.get("process.creation.time"))
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _plain(value: str | None) -> str | None:
    """The string inside a stored value."""
    try:
        plain = orjson.loads(value) if value else None
    except ValueError:
        return None
    return plain if isinstance(plain, str) else None
