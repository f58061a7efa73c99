# SPDX-License-Identifier: Apache-2.0
"""rundir: the folder where a node's processes and its collector meet: socket, rings, and a record of each process.

    pillion.sock                     the collector, OTLP over gRPC
    rings/<pid>-<start ticks>.ring   what a process recorded (native/ring.c)
    processes/<pid>-<start ticks>.json   what was decided for a process, and why

Both sides find it by the same rule. Rings need a tmpfs: a store into a file on disk can wait for writeback.
"""

from __future__ import annotations

import os
import sys

SOCKET = "pillion.sock"


def candidates() -> list[str]:
    """Where the folder may be when PILLION_RUN_DIR doesn't say, best first."""
    private = os.environ.get("XDG_RUNTIME_DIR")
    return [
        "/run/pillion",
        *([os.path.join(private, "pillion")] if private else []),
        f"/dev/shm/pillion-{os.getuid()}",
        f"/tmp/pillion-{os.getuid()}",
    ]


def on_tmpfs(path: str) -> bool:
    """Whether a path, existing or not, lies on a tmpfs; by the longest mount point that leads to it."""
    best, kind = "", ""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            _, where, what = line.split(" ", 3)[:3]
            if len(where) >= len(best) and (path == where or path.startswith(where.rstrip("/") + "/")):
                best, kind = where, what
    return kind == "tmpfs"


def _usable(path: str) -> bool:
    """The folder is ours alone and writable, or can be made so."""
    try:
        status = os.lstat(path)
    except OSError:
        parent = os.path.dirname(path)
        return os.path.isdir(parent) and os.access(parent, os.W_OK | os.X_OK)
    return (
        (status.st_mode & 0o170000) == 0o040000 and status.st_uid == os.getuid() and os.access(path, os.W_OK | os.X_OK)
    )


def choose(configured: str | None) -> str:
    """The run directory, not made yet: PILLION_RUN_DIR, else the first usable one on a tmpfs, else the first usable."""
    if configured:
        return os.path.abspath(configured)
    usable = [path for path in candidates() if _usable(path)]
    for path in usable:
        try:
            if on_tmpfs(path):
                return path
        except (OSError, ValueError):
            break
    return usable[0] if usable else candidates()[-1]


def make(path: str) -> None:
    """Makes the folder and those in it, for this user alone. Raises OSError."""
    for folder in (path, os.path.join(path, "rings"), os.path.join(path, "processes")):
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass  # made before, or by somebody else just now


def start_ticks() -> int:
    """When this process started, in clock ticks since boot: with the pid, its name for good. 0: not readable."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _json(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_json(item) for item in value) + "]"
    text = ""
    for char in str(value):
        code = ord(char)
        text += "\\" + char if char in '"\\' else char if 32 <= code < 127 else _escape(code)
    return f'"{text}"'


def _escape(code: int) -> str:
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"


def record(path: str, fields: dict[str, object]) -> str:
    """Writes processes/<pid>-<start ticks>.json whole, or replaces it; gives its path. Raises OSError.

    No json module: it would be imported into every process for this one line.
    """
    ticks = start_ticks()
    name = os.path.join(path, "processes", f"{os.getpid()}-{ticks}.json")
    known = {"pid": os.getpid(), "start_ticks": ticks, "exe": sys.executable or "", "parent_pid": os.getppid()}
    text = ",".join(f"{_json(key)}:{_json(value)}" for key, value in {**known, **fields}.items())
    descriptor = os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{{{text}}}\n".encode("ascii"))
    finally:
        os.close(descriptor)
    os.replace(name + ".new", name)
    return name
