# SPDX-License-Identifier: Apache-2.0
"""Who is there: boot's records and received resources, each as one `Found`. Foreign files: bounded, checked.

Called by the process reader's thread every few seconds; a few hundred small files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from pillion_collector import neighbours
from pillion_collector.neighbours import RECORD, Troubles
from pillion_collector.pids import Name
from pillion_collector.processes_read import TICKS_A_SECOND, read_stat
from pillion_collector.store import ResourceRow

FILE_BYTES = 64 << 10
KEEP_FILE_S = 600  # of a process that is gone, so that `pillion why` can still be asked
KEEP_HIDDEN_S = 86400  # of one that can't be seen, and may live
_BAD_RECORD_S = 3600  # what was never one, or was torn
_RESOURCES = """SELECT DISTINCT ON (resource_id) resource_id, service, instance, pid, attributes
FROM resources WHERE pid IS NOT NULL"""


@dataclass(frozen=True)
class Found:
    """What is known of a process from outside. `who.pid` is its own word. `remote`: only a received resource tells."""

    who: Name
    service: str | None = None
    instance: str | None = None
    command: str = ""
    python: str | None = None
    decision: str | None = None
    reason: str | None = None
    resource_row: ResourceRow | None = None  # as received, never our own
    remote: bool = False

    @property
    def container(self) -> str | None:
        """As the process told it itself."""
        attributes = self.resource_row.attributes if self.resource_row is not None else {}
        return self.who.container or _plain(attributes.get("container.id"))

    @property
    def id(self) -> str:
        return str(self.who)

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
            who=replace(self.who, container=self.who.container or other.who.container),
            command=self.command or other.command,
            remote=self.remote and other.remote,
            **{name: value for name, value in news.items() if value is not None},
        )


def find_files(run_dir: Path, troubles: Troubles) -> list[Found]:
    """Every record of boot; a broken one is counted and left alone."""
    files = neighbours.find(run_dir / "processes", RECORD, troubles)
    return [one for file in files if (one := find_file(file.path, troubles)) is not None]


def find_file(path: str, troubles: Troubles) -> Found | None:
    """One record of boot."""
    who = neighbours.who(os.path.basename(path), RECORD)
    if who is None:
        return None
    text = neighbours.read(path, FILE_BYTES)
    record = _record(text[0]) if text is not None else None
    if text is None or record is None or not _is_of(record, who):
        troubles.once("bad_record", path)
        return None
    return _from_record(Found(replace(who, uid=text[1].st_uid)), record)


def forget_file(run_dir: Path, process_id: str, now_ns: int, kept_s: int = KEEP_FILE_S) -> None:
    """Removes the record of an ended process once it is old."""
    path = run_dir / "processes" / f"{process_id}.json"
    with contextlib.suppress(OSError):
        if path.lstat().st_ctime_ns < now_ns - kept_s * 10**9:
            path.unlink()


def sweep(run_dir: Path, now_ns: int) -> None:
    """Removes what lies among the records and is none: torn, foreign, never finished. Once it is old."""
    with contextlib.suppress(OSError), os.scandir(run_dir / "processes") as entries:
        for number, entry in enumerate(entries):
            if number >= neighbours.LOOKED_AT:
                return
            if RECORD.fullmatch(entry.name) and find_file(entry.path, Troubles()) is not None:
                continue
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_ctime_ns < now_ns - _BAD_RECORD_S * 10**9:
                    os.unlink(entry.path)


def find_resources(store: Any, boot_s: float, by_instance: Mapping[str, Name]) -> list[Found]:
    """Processes of this node that told their pid and creation time in a received resource.

    `by_instance`: who is known by a file, which tells more exactly who it is.
    """
    rows = store.query(_RESOURCES)
    found = []
    for resource_id, service, instance, pid, attributes in rows:
        known = by_instance.get(instance or "")
        if known is not None and known.pid == pid:
            row = ResourceRow(resource_id, service, instance, pid, attributes)
            found.append(Found(known, service or None, instance, resource_row=row))
            continue
        stat = read_stat(pid) if 0 < pid < 1 << 31 else None
        created_s = _created_s(attributes)
        if stat is None or created_s is None or abs(boot_s + stat.start_ticks / TICKS_A_SECOND - created_s) > 2.0:
            continue
        row = ResourceRow(resource_id, service, instance, pid, attributes)
        command = _plain(attributes.get("process.executable.name")) or stat.name
        python = _plain(attributes.get("process.runtime.version"))
        found.append(
            Found(
                Name(pid, stat.start_ticks),
                service or None,
                instance or None,
                command,
                python,
                resource_row=row,
                remote=True,
            )
        )
    return found


def _record(text: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _is_of(record: dict[str, Any], who: Name) -> bool:
    """Whether it says of itself what its name says, where it says something."""
    told = {"pid": who.pid, "start_ticks": who.start_ticks, **({"pid_ns": who.namespace} if who.namespace else {})}
    return all(record.get(key, value) == value for key, value in told.items())


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
