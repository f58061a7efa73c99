# SPDX-License-Identifier: Apache-2.0
"""servers: Redis and PostgreSQL of a test's own, on loopback, without a trace left behind; None where one is absent."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 60.0  # seconds; a machine may be busy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, f"{server.args!r} ended with {server.returncode}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        time.sleep(0.02)
    raise AssertionError(f"{server.args!r} doesn't listen")


@contextlib.contextmanager
def running(command: list[str], port: int, **how: object) -> Iterator[None]:
    """A server from when it listens until it has ended."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)  # type: ignore[call-overload]
    try:
        await_port(port, server)
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pillion-server-", dir="/dev/shm"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def redis() -> Iterator[int | None]:
    """The port of a Redis that keeps nothing."""
    if shutil.which("redis-server") is None:
        yield None
        return
    port = free_port()
    with folder() as place:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(place)]
        with running(command, port):
            yield port


def postgres_folder() -> Path | None:
    """Where PostgreSQL's programs are: on the path, or where Debian keeps them."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places and (places[-1] / "initdb").exists() else None


@contextlib.contextmanager
def postgres() -> Iterator[int | None]:
    """The port of a PostgreSQL with an empty database `shop` and its user of the same name, who needs no password."""
    programs = postgres_folder()
    if programs is None:
        yield None
        return
    port = free_port()
    with folder() as place:
        how: dict[str, object] = {}
        if os.geteuid() == 0:  # it refuses to serve as root
            user = pwd.getpwnam("postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody")
            os.chown(place, user.pw_uid, user.pw_gid)
            how = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = place / "data"
        create = [str(programs / "initdb"), "-A", "trust", "-U", "shop", "-N", "-D", str(data)]
        subprocess.run(create, check=True, capture_output=True, cwd=place, **how)  # type: ignore[call-overload]
        settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={place}", "fsync=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        with running([str(programs / "postgres"), "-D", str(data), *options], port, cwd=place, **how):
            ready = [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "shop", "shop"]
            deadline = time.monotonic() + PATIENCE
            while subprocess.run(ready, capture_output=True).returncode and time.monotonic() < deadline:
                time.sleep(0.05)
            yield port
