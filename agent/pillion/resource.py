# SPDX-License-Identifier: Apache-2.0
"""resource: who this process is, as OpenTelemetry's resource attributes.

`attributes` asks a `System` for what it cannot know, so that tests can give it any machine. Runs once, at start, for
about half a millisecond: a few small files of /proc, no name service, no import. What is new in a fork's child (pid,
creation time, instance) is replaced by native/core.c.
Command lines, working directory and environment are never read: they hold secrets.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Union

    Attributes = dict[str, Union[str, int]]

ARCHITECTURES = {
    "x86_64": "amd64",
    "i386": "x86",
    "i686": "x86",
    "aarch64": "arm64",
    "armv6l": "arm32",
    "armv7l": "arm32",
    "armv8l": "arm32",
    "ppc64le": "ppc64",
}

# Kubernetes to service.name, first hit wins (OpenTelemetry's non-normative/k8s-attributes.md).
KUBERNETES_NAMES = ("deployment", "replicaset", "statefulset", "daemonset", "cronjob", "job", "pod", "container")

# What the user's own attributes cannot change: the identity of the process and of the module.
OURS = ("process.pid", "process.creation.time", "telemetry.")


class System:
    """The machine as it is. Whatever cannot be read is an empty text."""

    implementation = sys.implementation.name
    version_info = tuple(sys.version_info)
    version = sys.version
    platform = sys.platform
    pid = staticmethod(os.getpid)
    parent_pid = staticmethod(os.getppid)
    user_id = staticmethod(os.getuid)
    random = staticmethod(os.urandom)
    # Bound now: later the application's tests may have put their own in place.
    _open = staticmethod(os.open)
    _read = staticmethod(os.read)
    _close = staticmethod(os.close)
    _readlink = staticmethod(os.readlink)
    _uname = staticmethod(os.uname)
    _clock_ns = staticmethod(time.clock_gettime_ns)
    _ticks_per_second = os.sysconf("SC_CLK_TCK")

    def text(self, path: str) -> str:
        """The beginning of a file, at most 1 MiB."""
        parts: list[bytes] = []
        try:
            descriptor = self._open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return ""
        try:
            while len(parts) < 16:
                part = self._read(descriptor, 65536)
                if not part:
                    break
                parts.append(part)
        except OSError:
            return ""
        finally:
            self._close(descriptor)
        return b"".join(parts).decode("utf-8", "replace")

    def link(self, path: str) -> str:
        try:
            return self._readlink(path)
        except OSError:
            return ""

    def host(self) -> tuple[str, str]:
        """Its name and its architecture."""
        uname = self._uname()
        return uname.nodename, uname.machine

    def boot_ns(self) -> int:
        """When the machine started. Clocks know it more cheaply than /proc/stat, which is long on big machines."""
        return self._clock_ns(time.CLOCK_REALTIME) - self._clock_ns(time.CLOCK_BOOTTIME)

    def tick_ns(self, ticks: int) -> int:
        return ticks * 1_000_000_000 // self._ticks_per_second


def attributes(version: str, service: str | None, given: Mapping[str, str], system: System) -> Attributes:
    """All attributes of this process. `service` is OTEL_SERVICE_NAME, `given` OTEL_RESOURCE_ATTRIBUTES."""
    found: Attributes = {
        "telemetry.sdk.name": "pillion",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": version,
        "telemetry.distro.name": "pillion",
        "telemetry.distro.version": version,
    }
    found.update(_process(system))
    found.update(_program(system))
    found.update(_machine(system))
    found.update({key: value for key, value in given.items() if not key.startswith(OURS)})
    found["service.name"] = service or given.get("service.name") or _kubernetes_name(given) or _unknown(found)
    return {key: value for key, value in found.items() if value != ""}


def uuid4(random: bytes) -> str:
    """A version 4 UUID of 16 random bytes."""
    bits = bytearray(random)
    bits[6] = bits[6] & 0x0F | 0x40
    bits[8] = bits[8] & 0x3F | 0x80
    text = bits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def iso8601(ns: int) -> str:
    """UTC with milliseconds."""
    seconds = time.gmtime(ns // 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", seconds) + f".{ns // 1_000_000 % 1000:03d}Z"


def start_ticks(stat: str) -> int:
    """When a process started, in ticks since boot: field 22 of /proc/<pid>/stat. -1: not readable."""
    fields = stat[stat.rfind(")") + 2 :].split()  # the name before may hold blanks and brackets
    return int(fields[19]) if len(fields) > 19 and fields[19].isdigit() else -1


def container_id(cgroup: str, mountinfo: str) -> str:
    """From the path of the control group; in a cgroup namespace of its own, from where Docker's files are mounted."""
    for line in cgroup.splitlines():
        for part in reversed(line.split("/")):
            name = part[: -len(".scope")] if part.endswith(".scope") else part
            candidate = name[name.rfind("-") + 1 :].rpartition(":")[2]
            if _is_id(candidate):
                return candidate
    for line in mountinfo.splitlines():
        _, found, rest = line.partition("/containers/")
        if found and _is_id(rest[:64]) and rest[64:65] == "/":
            return rest[:64]
    return ""


def _is_id(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def _process(system: System) -> Attributes:
    found: Attributes = {
        "service.instance.id": uuid4(system.random(16)),
        "process.pid": system.pid(),
        "process.parent_pid": system.parent_pid(),
    }
    ticks = start_ticks(system.text("/proc/self/stat"))
    found["process.creation.time"] = iso8601(system.boot_ns() + system.tick_ns(ticks)) if ticks >= 0 else ""
    return found


def _program(system: System) -> Attributes:
    path = system.link("/proc/self/exe")
    path = path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path
    parts = system.version_info[:3] if system.version_info[3] == "final" else system.version_info
    return {
        "process.executable.path": path,
        "process.executable.name": path[path.rfind("/") + 1 :],
        "process.runtime.name": system.implementation,
        "process.runtime.version": ".".join(map(str, parts)),
        "process.runtime.description": system.version,
        "process.owner": _owner(system),
    }


def _owner(system: System) -> str:
    """The user's name if the file of users has it: a directory service could block."""
    wanted = str(system.user_id())
    for line in system.text("/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == wanted:
            return fields[0]
    return ""


def _machine(system: System) -> Attributes:
    name, machine = system.host()
    machine_id = system.text("/etc/machine-id").strip() or system.text("/var/lib/dbus/machine-id").strip()
    cgroup = system.text("/proc/self/cgroup")
    container = container_id(cgroup, "")
    return {
        "host.name": name,
        "host.id": machine_id if machine_id != "uninitialized" else "",
        "host.arch": ARCHITECTURES.get(machine, machine),
        "os.type": "linux" if system.platform.startswith("linux") else system.platform,
        "container.id": container or container_id("", system.text("/proc/self/mountinfo")),
    }


def _kubernetes_name(given: Mapping[str, str]) -> str:
    names = (given.get(f"k8s.{kind}.name") for kind in KUBERNETES_NAMES)
    return next((name for name in names if name), "")


def _unknown(found: Attributes) -> str:
    name = found.get("process.executable.name")
    return f"unknown_service:{name}" if name else "unknown_service"
