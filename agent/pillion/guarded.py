# SPDX-License-Identifier: Apache-2.0
"""guarded: the guarded start as `pillion why` sees it (native/probation.c): programs that are left alone because they
crashed, and how one is let in again.
"""

from __future__ import annotations

import os
import re

from pillion.why_records import careful

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERDICT = re.compile(r"[0-9a-f]{16}(-[0-9a-f]{16})?\.crashed")
START = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}-(\d+-\d+(?:-\d+)?)")
KEPT_NS = 24 * 3600 * 10**9
FILE_BYTES = 4096


def verdicts(run_dir: str) -> list[dict[str, Any]]:
    """Programs that are left alone: executable, program, the deaths, until when, and the path of the file."""
    folder = os.path.join(run_dir, "guard")
    try:
        names = sorted(name for name in os.listdir(folder) if VERDICT.fullmatch(name))
    except OSError:
        return []
    read = (_read(os.path.join(folder, name)) for name in names)
    return [verdict for verdict in read if verdict is not None]


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb", opener=careful) as file:
            lines = file.read(FILE_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    words = [(name, value) for name, blank, value in (line.partition(" ") for line in lines) if blank]
    known = dict(words)
    deaths = [value.split() for name, value in words if name == "died"]  # when, and which pid
    decided = known.get("decided", "")
    return {
        "path": path,
        "exe": known.get("exe", ""),
        "program": known.get("program", ""),
        "pillion": known.get("pillion", ""),
        "deaths": [
            {"time_ns": int(one[0]), "pid": int(one[1])}
            for one in deaths
            if len(one) == 2 and all(map(_is_number, one))
        ],
        "until_ns": int(decided) + KEPT_NS if _is_number(decided) else 0,
    }


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 20


def forgive(run_dir: str, which: str | None) -> list[dict[str, Any]]:
    """Lets programs in again: all, or those of an executable or program, by path or name. Raises OSError."""
    chosen = [one for one in verdicts(run_dir) if which is None or _is_meant(one, which)]
    for one in chosen:
        stem = os.path.basename(one["path"])[: -len(".crashed")]
        folder = os.path.dirname(one["path"])
        for name in os.listdir(folder):  # the deaths that led there would count again
            if START.fullmatch(name) and name.startswith(stem):
                _remove_dead(os.path.join(folder, name))
        os.unlink(one["path"])
    return chosen


def _is_meant(one: dict[str, Any], which: str) -> bool:
    return any(text and which in (text, os.path.basename(text)) for text in (one["exe"], one["program"], one["path"]))


def _remove_dead(path: str) -> None:
    import fcntl

    try:
        descriptor = careful(path, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError:
        pass  # its process lives
    finally:
        os.close(descriptor)
