# SPDX-License-Identifier: Apache-2.0
"""rundir: the folder where a node's processes and its collector meet: socket, rings, and a record of each process.

    pillion.sock                             the collector, OTLP over gRPC
    rings/<pid>-<start ticks>[-<ns>].ring    what a process recorded (native/ring.c)
    processes/<pid>-<start ticks>[-<ns>].json    what was decided for a process, and why
    guard/                                   starts that nobody has seen end well yet

<ns>: inode of the pid namespace, where that isn't the machine's first. Both sides find the folder by the same rule.
Rings need a tmpfs: a store into a file on disk can wait for writeback.
"""

from __future__ import annotations

import os
import sys

SOCKET = "pillion.sock"
FOLDERS = ("rings", "processes", "guard")
SHARED = 0o3777  # of these folders, when processes of many users meet: setgid and sticky
INITIAL_NAMESPACE = 0xEFFFFFFC  # inode of the first pid namespace (PROC_PID_INIT_INO of the kernel)


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


def is_shared(path: str) -> bool:
    """Made by `pillion up --shared`: one user's, with folders in which anybody may put files and nobody takes any."""
    try:
        above, inner = os.lstat(path), os.lstat(os.path.join(path, "rings"))
    except OSError:
        return False
    return above.st_mode & 0o170022 == 0o040000 and inner.st_mode == 0o040000 | SHARED and inner.st_uid == above.st_uid


def _usable(path: str) -> bool:
    """The folder is ours alone and writable, or can be made so; or is shared, in a place that is nobody's to take."""
    try:
        status = os.lstat(path)
    except OSError:
        parent = os.path.dirname(path)
        return os.path.isdir(parent) and os.access(parent, os.W_OK | os.X_OK)
    if path == candidates()[0] and is_shared(path):
        return True
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
    """Makes the folder and those in it, for this user alone. What is there stays as it is. Raises OSError.

    Nothing is made in another user's folder, not even by root: that is for the collector to do, which it belongs to.
    """
    for folder in (path, *(os.path.join(path, name) for name in FOLDERS)):
        if os.path.lexists(folder):
            continue
        if folder != path and os.stat(path).st_uid != os.geteuid():
            raise PermissionError(13, "another user's folder, and no collector has made its parts")
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass  # by somebody else just now


def start_ticks() -> int:
    """When this process started, in clock ticks since boot: with the pid, its name for good. 0: not readable."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def pid_namespace() -> int:
    """The inode of the pid namespace in which our pid means something. 0: not readable."""
    try:
        return int(os.readlink("/proc/self/ns/pid")[len("pid:[") : -1])
    except (OSError, ValueError):
        return 0


def name(pid: int, ticks: int, namespace: int) -> str:
    """What a process's files are called: the same in native/bare_process.c."""
    return f"{pid}-{ticks}" + (f"-{namespace}" if namespace not in (0, INITIAL_NAMESPACE) else "")


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
    return f"\\u{code:04x}" if not 0xD800 <= code < 0xE000 else "\\ufffd"  # a path's byte that is no UTF-8


def record(path: str, fields: dict[str, object]) -> str:
    """Writes processes/<pid>-<start ticks>.json whole, or replaces it; gives its path. Raises OSError.

    No json module: it would be imported into every process for this one line.
    """
    pid, ticks, namespace = os.getpid(), start_ticks(), pid_namespace()
    known: dict[str, object] = {"pid": pid, "start_ticks": ticks, "pid_ns": namespace, "uid": os.getuid()}
    known.update(exe=sys.executable or "", parent_pid=os.getppid())
    text = ",".join(f"{_json(key)}:{_json(value)}" for key, value in {**known, **fields}.items())
    folder = os.path.join(path, "processes")
    stem = name(pid, ticks, namespace)
    # A name that nobody else can have taken before: in a shared folder it could be a link to a file of ours.
    fresh = os.path.join(folder, f".{stem}.{os.urandom(4).hex()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    final = os.path.join(folder, stem + ".json")
    try:
        if os.stat(folder).st_mode & 0o2000:
            os.fchmod(descriptor, 0o640)  # its group is the collector's
        os.write(descriptor, f"{{{text}}}\n".encode("ascii"))
        os.replace(fresh, final)
    except OSError:
        os.unlink(fresh)
        raise
    finally:
        os.close(descriptor)
    return final
