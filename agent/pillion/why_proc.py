# SPDX-License-Identifier: Apache-2.0
"""why_proc: what /proc tells of one process, for `pillion why`: is it a Python, and is anything of pillion in it?

Reads only. What this user may not read is None and named in `denied`. Arguments and environment are looked at and never
given out, but for the variables that bring pillion.
"""

from __future__ import annotations

import os
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PYTHON = re.compile(r"(python|pypy)[\d.]*\w*(-\w+)?$")
# Programs that open a libpython, or have one inside; asked only where the mappings can't be read.
EMBEDDERS = {"uwsgi", "uwsgi-core", "apache2", "httpd", "unitd", "gdb", "lldb", "vim", "nvim", "blender"}
LIBRARY = re.compile(r"/lib(python|pypy)[\d.]+\w*-?\w*\.so|/lib-dynload/|\.cpython-\d+\w*-[\w-]+\.so|/site-packages/")
PRELOAD = "libpillion.so"
NATIVE = re.compile(r"/pillion/_native[\w.-]*\.so|/cp\d+/_native[\w.-]*\.so")
VARIABLES = ("LD_PRELOAD", "PILLION_RUN_DIR", "XDG_RUNTIME_DIR")
SECURE = 23  # AT_SECURE of <elf.h>
MACHINES = {b"\x3e\x00": "x86_64", b"\xb7\x00": "aarch64"}
FILE_BYTES = 16 << 20  # of one file of /proc


class Facts:
    """One process as it is now."""

    def __init__(self, pid: int, proc: str = "/proc") -> None:
        """Raises OSError or ValueError when there is no such process (any more), or a kernel thread."""
        self.pid, self.folder = pid, f"{proc}/{pid}"
        self.denied: dict[str, str] = {}
        stat = self._read("stat") or b""
        fields = stat[stat.rindex(b")") + 2 :].split()
        self.command = stat[stat.index(b"(") + 1 : stat.rindex(b")")].decode("utf-8", "replace")
        self.state, self.parent_pid, self.start_ticks = fields[0].decode(), int(fields[1]), int(fields[19])
        if self.state in "ZX" or int(fields[6]) & 0x00200000:  # PF_KTHREAD of the kernel
            raise ValueError("no program")
        lines = (line.partition(":\t") for line in (self._text("status") or "").splitlines())
        status = {name: value for name, _, value in lines}
        self.uids = tuple(map(int, (status.get("Uid") or "-1").split()))
        self.uid = self.uids[0]
        self.own_pid = int((status.get("NSpid") or str(pid)).split()[-1])  # as the process itself knows it
        namespace = self._link("ns/pid")
        self.pid_ns = int(namespace[5:-1]) if namespace.startswith("pid:[") else 0
        self.exe = self._link("exe").replace(" (deleted)", "")
        self.name = os.path.basename(self.exe) or self.command
        self.arguments = self._read("cmdline") or b""
        self._argv0 = self.arguments.split(b"\0")[0].decode("utf-8", "replace")
        maps = self._text("maps")
        self.maps = (
            None if maps is None else frozenset(line.split(None, 5)[5] for line in maps.splitlines() if "/" in line)
        )

    def _read(self, name: str) -> bytes | None:
        try:
            with open(f"{self.folder}/{name}", "rb") as file:
                return file.read(FILE_BYTES)
        except PermissionError as error:
            self.denied[name] = error.strerror or "refused"
        except OSError:
            pass
        return None

    def _text(self, name: str) -> str | None:
        content = self._read(name)
        return None if content is None else content.decode("utf-8", "surrogateescape")

    def _link(self, name: str) -> str:
        try:
            return os.readlink(f"{self.folder}/{name}")
        except OSError as error:
            if isinstance(error, PermissionError):
                self.denied[name] = error.strerror or "refused"
            return ""

    def is_python(self) -> bool:
        """It is, or where that can't be seen, could be."""
        names = (self.name, os.path.basename(self._argv0.lstrip("-")), self.command)
        if any(PYTHON.match(name) for name in names[: 2 if self.exe else 3]):
            return True
        if self.maps is None:
            return "maps" in self.denied and any(name in EMBEDDERS for name in names)
        return any(LIBRARY.search(path) for path in self.maps)

    def is_other_implementation(self) -> bool:
        return self.name.startswith("pypy") or any("/libpypy" in path for path in self.maps or ())

    def mapped(self, pattern: str) -> str:
        """The mapped file that a pattern finds, or an empty text."""
        return next((path for path in sorted(self.maps or ()) if re.search(pattern, path)), "")

    def variables(self) -> dict[str, str] | None:
        """What its environment was when it started, of VARIABLES; None: not readable."""
        content = self._text("environ")
        if content is None:
            return None
        pairs = (line.split("=", 1) for line in content.split("\0") if "=" in line)
        return {name: value for name, value in pairs if name in VARIABLES}

    def command_line(self) -> tuple[list[bytes], list[bytes]]:
        """Arguments and environment, for the rules alone."""
        return self.arguments.split(b"\0")[:-1], (self._read("environ") or b"").split(b"\0")[:-1]

    def inside(self, path: str) -> str:
        """The path as this process sees it: links lead within its own root."""
        left, real = path.split("/")[::-1], f"{self.folder}/root"
        for _ in range(256):
            part = left.pop() if left else ""
            if part == "..":
                real = real if real.endswith(f"{self.folder}/root") else os.path.dirname(real)
            elif part not in ("", "."):
                try:
                    target = os.readlink(f"{real}/{part}")
                except OSError:
                    real = f"{real}/{part}"
                    continue
                left += target.split("/")[::-1]
                real = f"{self.folder}/root" if target.startswith("/") else real
            elif not left:
                break
        return real

    def is_secure(self) -> bool:
        """AT_SECURE of its auxiliary vector: the loader took no orders from the environment."""
        vector = self._read("auxv") or b""
        words = [int.from_bytes(vector[at : at + 8], "little") for at in range(0, len(vector) - 7, 8)]
        return any(kind == SECURE and value for kind, value in zip(words[::2], words[1::2]))

    def program(self) -> tuple[str, bool] | None:
        """Machine ("" for one that isn't supported) and whether it asks for a dynamic loader; None: not readable."""
        try:
            with open(f"{self.folder}/exe", "rb") as file:
                header = file.read(64)
                offset, width, count = (
                    int.from_bytes(header[a:b], "little") for a, b in ((32, 40), (54, 56), (56, 58))
                )
                if header[:6] != b"\x7fELF\2\1":
                    return "", True
                file.seek(offset)
                table = file.read(width * count)
        except (OSError, ValueError):
            return None
        kinds = {int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), max(width, 1))}
        return MACHINES.get(header[18:20], ""), 3 in kinds  # PT_INTERP

    def started(self) -> float:
        """Seconds since the epoch, to some hundredths."""
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + self.start_ticks / os.sysconf("SC_CLK_TCK")

    def describe(self) -> dict[str, Any]:
        """What a row says of it, whatever was decided."""
        return {
            "pid": self.pid,
            "own_pid": self.own_pid,
            "start_ticks": self.start_ticks,
            "pid_ns": self.pid_ns,
            "started_ns": int(self.started() * 1e9),
            "uid": self.uid,
            "exe": self.exe,
            "command": self.name,
            "parent_pid": self.parent_pid,
            "alive": True,
        }


def all_pids(proc: str = "/proc") -> list[int]:
    return sorted(int(name) for name in os.listdir(proc) if name.isdigit())
