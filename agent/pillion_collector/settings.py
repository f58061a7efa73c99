# SPDX-License-Identifier: Apache-2.0
"""The settings of `pillion up`: one table of names; a flag beats its PILLION_* variable, which beats the default.

Pure: reads what it is given, touches neither disk nor network. What is wrong becomes one line that names the setting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pillion_collector import Trouble


@dataclass(frozen=True)
class Option:
    """One setting: `flag` on the command line, `variable` in the environment. `metavar` "": it is on or off."""

    name: str
    flag: str
    variable: str
    metavar: str
    help: str


OPTIONS = (
    Option("data", "--data", "PILLION_DATA", "DIR", "where spans, metrics and logs are kept"),
    Option("socket", "--socket", "PILLION_SOCKET", "PATH", "unix socket of OTLP/gRPC (default: in the run directory)"),
    Option("grpc", "--grpc", "PILLION_GRPC", "HOST:PORT", "OTLP/gRPC over TCP, port 0: any (default: 127.0.0.1:4317)"),
    Option("http", "--http", "PILLION_HTTP", "HOST:PORT", "UI, JSON API and /metrics (default: 127.0.0.1:4320)"),
    Option("retention_age", "--retention-age", "PILLION_RETENTION_AGE", "AGE", "older data is deleted (default: 7d)"),
    Option(
        "retention_bytes",
        "--retention-bytes",
        "PILLION_RETENTION_BYTES",
        "SIZE",
        "oldest data is deleted (default: 5GB)",
    ),
    Option(
        "shared", "--shared", "PILLION_SHARED", "", "the run directory is for the processes of all users (default: no)"
    ),
)
_BY_NAME = {option.name: option for option in OPTIONS}

SOCKET_BYTES = 107  # sun_path, without its final zero
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_UNITS_OF_TIME = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_UNITS_OF_SIZE = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
                  "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
                  "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """Where to listen: a name or an IP address, and a port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Settings:
    """What `pillion up` runs with."""

    data: Path
    socket: Path
    grpc: Address
    http: Address
    retention_age_s: float
    retention_bytes: int
    shared: bool = False


def wrong(name: str, value: object, problem: str, remedy: str, code: int = 2) -> Trouble:
    """The one form in which a setting is complained about."""
    option = _BY_NAME[name]
    return Trouble(f"{option.flag} ({option.variable}) {value}: {problem}; {remedy}", code)


def resolve(flags: Mapping[str, str | None], environ: Mapping[str, str], run_dir: Path) -> Settings:
    """Settings from the flags that were given, the environment and the defaults."""

    def text(name: str, default: str) -> str:
        given = flags.get(name)
        return given if given is not None else environ.get(_BY_NAME[name].variable) or default

    return Settings(
        data=_path("data", text("data", str(data_directory(environ)))),
        socket=_socket(text("socket", str(run_dir / "pillion.sock"))),
        grpc=address("grpc", text("grpc", "127.0.0.1:4317")),
        http=address("http", text("http", "127.0.0.1:4320")),
        retention_age_s=seconds("retention_age", text("retention_age", "7d")),
        retention_bytes=size("retention_bytes", text("retention_bytes", "5GB")),
        shared=flag("shared", text("shared", "false")),
    )


def data_directory(environ: Mapping[str, str]) -> Path:
    """/var/lib/pillion for root, else pillion in the user's data folder."""
    base = environ.get("XDG_DATA_HOME")
    if base and os.path.isabs(base):
        return Path(base) / "pillion"
    if os.geteuid() == 0:
        return Path("/var/lib/pillion")
    return Path(environ.get("HOME") or os.path.expanduser("~")) / ".local" / "share" / "pillion"


def address(name: str, text: str) -> Address:
    """`host:port` or `[v6]:port`."""
    match = re.fullmatch(r"(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})", text)
    if match is None or int(match["port"]) > 65535:
        raise wrong(name, text, "not HOST:PORT", "give an address and a port of 0 to 65535, such as 127.0.0.1:0")
    return Address(match["six"] or match["host"], int(match["port"]))


def seconds(name: str, text: str) -> float:
    """An age such as 90m, 36h or 7d, in seconds."""
    number, unit = _quantity(text)
    if number is None or unit not in _UNITS_OF_TIME:
        raise wrong(name, text, "not an age above zero", "give a number with s, m, h or d, such as 36h")
    return number * _UNITS_OF_TIME[unit]


def flag(name: str, text: str) -> bool:
    """On or off."""
    word = text.strip().lower()
    if word not in _WORDS:
        raise wrong(name, text, "neither true nor false", "give true or false")
    return _WORDS[word]


def size(name: str, text: str) -> int:
    """A size such as 500MB or 5GiB, in bytes."""
    number, unit = _quantity(text)
    if number is None or unit not in _UNITS_OF_SIZE or number * _UNITS_OF_SIZE[unit] < 1:
        raise wrong(name, text, "not a size above zero", "give a number with MB, GB or GiB, such as 5GB")
    return int(number * _UNITS_OF_SIZE[unit])


def _quantity(text: str) -> tuple[float | None, str]:
    match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([a-zA-Z]*)\s*", text)
    if match is None or float(match[1]) <= 0:
        return None, ""
    return float(match[1]), match[2].lower()


def _path(name: str, text: str) -> Path:
    if not text or "\0" in text:
        raise wrong(name, repr(text), "not a path", "name a folder")
    return Path(text).expanduser().absolute()


def _socket(text: str) -> Path:
    path = _path("socket", text.removeprefix("unix://").removeprefix("unix:"))
    if len(os.fsencode(path)) > SOCKET_BYTES:
        raise wrong(
            "socket", path, f"longer than the {SOCKET_BYTES} bytes a unix socket may have", "choose a shorter path"
        )
    return path
