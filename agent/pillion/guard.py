# SPDX-License-Identifier: Apache-2.0
"""guard: what goes wrong in pillion stays in pillion: counted, the first of each kind written to its own log.

The log is the file that PILLION_LOG names; without it nothing is written anywhere. Never raises, never prints.
"""

from __future__ import annotations

import os

LOG_BYTES = 65536  # a process writes at most so much

counts: dict[str, int] = {}  # "where: ExceptionType" -> how often
notes: list[str] = []  # what `pillion why` shows beside the decision
_path: str | None = None
_written = 0
_told: set[str] = set()  # of counts, what is in the log


def open_log(path: str | None) -> None:
    """Names the log file; it's opened for each line, so it holds no descriptor."""
    global _path
    _path = path


def log(message: str) -> None:
    """One line into pillion's own log."""
    try:
        _write(message)
    except Exception:
        counts["log"] = counts.get("log", 0) + 1


def _write(message: str) -> None:
    global _path, _written
    if _path is None or _written > LOG_BYTES:
        return
    line = f"pillion[{os.getpid()}]: {message}\n".encode("utf-8", "backslashreplace")
    try:
        descriptor = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _written += os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError:
        _path = None


def report(where: object, error: BaseException) -> None:
    """Counts an error of ours; the first of each kind that there is room to tell of is logged."""
    try:
        name = where if isinstance(where, str) else getattr(where, "__qualname__", None) or repr(type(where))
        kind = f"{name}: {type(error).__name__}"
        counts[kind] = counts.get(kind, 0) + 1
        if kind not in _told:
            _write(f"{kind}: {error}")
            _told.add(kind)
    except Exception:
        counts["report"] = counts.get("report", 0) + 1


def tell_rest() -> None:
    """At the end: what could be counted but not logged, since the application had used up its stack."""
    for kind in counts.keys() - _told - {"report", "log"}:
        log(f"{kind}: {counts[kind]} times")
