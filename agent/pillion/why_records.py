# SPDX-License-Identifier: Apache-2.0
"""why_records: the records of the run directory, one a process. Torn and foreign files do no harm."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable

FILE_BYTES = 65536
NUMBERS = ("pid", "start_ticks", "pid_ns", "uid", "parent_pid", "time_ns")
TEXTS = ("exe", "decision", "code", "reason", "service", "python", "pillion", "via", "root", "instance")


def records(run_dir: str) -> list[dict[str, Any]]:
    """All of them, oldest first. Raises OSError when there's no such folder."""
    folder = os.path.join(run_dir, "processes")
    names = [name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith(".")]
    return ordered(os.path.join(folder, name) for name in names)


def ordered(paths: Iterable[str]) -> list[dict[str, Any]]:
    """What is a record among these files, oldest first."""
    found = [record for record in map(read, paths) if record is not None]
    return sorted(found, key=lambda record: record.get("time_ns") or 0)


def read(path: str) -> dict[str, Any] | None:
    """One record with what is of the right kind in it; None: not a record, a link, a pipe, not readable."""
    try:
        with open(path, "rb", opener=careful) as file:
            owner = os.fstat(file.fileno()).st_uid
            raw = json.loads(file.read(FILE_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or not _is_number(raw.get("pid")):
        return None
    record: dict[str, Any] = {key: raw[key] for key in NUMBERS if _is_number(raw.get(key))}
    record.update({key: raw[key] for key in TEXTS if isinstance(raw.get(key), str)})
    notes = raw.get("notes")
    record["owner"] = owner
    record["notes"] = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    return record


def careful(path: str, flags: int) -> int:
    """Opens a file that anybody may have put there: no link is followed, no pipe waited for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
