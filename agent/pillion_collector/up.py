# SPDX-License-Identifier: Apache-2.0
"""`pillion up`: puts the parts together, says in one line that it is ready, and takes them apart at SIGINT or SIGTERM.

One event loop on the main thread carries gRPC, HTTP and the signals; the store has its writer thread, the process
reader and the adopter of rings their own, and queries run on a small pool. Order of the end: no new data, last commit,
then the listeners.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import functools
import logging
import os
import resource
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from pillion import rundir

from pillion_collector import VERSION, run_folder
from pillion_collector.adopt import Adopter
from pillion_collector.api import Collector, application
from pillion_collector.api_guard import is_loopback
from pillion_collector.processes import Processes
from pillion_collector.receive import Receiver
from pillion_collector.settings import Address, Settings, resolve, wrong
from pillion_collector.store import Store, StoreError

GRACE_S = 2.0
_STORE_SETTING = {"newer": 1, "locked": 1, "setting": 2}


def run(settings: Settings, run_dir: Path, as_json: bool) -> int:
    """Runs until a signal; 0 is a clean end. Raises Trouble for what the user must change."""
    for noisy in ("grpc", "uvicorn", "asyncio"):  # what goes wrong with a peer is counted, not printed
        logging.getLogger(noisy).addHandler(logging.NullHandler())
        logging.getLogger(noisy).propagate = False
    os.umask(0o077)  # what is kept is its owner's alone, in whatever folder
    _allow_descriptors()
    run_folder.make(run_dir, settings.shared)
    with contextlib.ExitStack() as stack:
        _make_directory("data", settings.data)
        _make_directory("socket", settings.socket.parent, 0o755 if settings.shared else 0o700)
        stack.enter_context(_socket_lock(settings.socket))
        http = stack.enter_context(contextlib.closing(_listen("http", settings.http)))
        _listen("grpc", settings.grpc).close()  # core tells only that it failed, this tells why
        store = _open(settings)
        stack.callback(store.close)
        return asyncio.run(_serve(settings, run_dir, store, http, as_json))


async def _serve(settings: Settings, run_dir: Path, store: Store, http: socket.socket, as_json: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    collector = Collector(store=store, run_dir=run_dir, started_ns=time.time_ns())
    receiver = collector.receiver = Receiver(store, collector.live.touch)
    touch = functools.partial(_call, loop, collector.live.touch)
    processes, adopter = _watch_processes(collector, touch)
    try:
        port = await receiver.start(settings.socket, settings.grpc, settings.shared)
    except RuntimeError as error:
        why = f"cannot listen there or on {settings.socket}"
        raise wrong("grpc", settings.grpc, why, "choose another", 1) from error
    processes.start()
    adopter.start()
    server = _Http(
        uvicorn.Config(
            application(collector, settings.http.host),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=32 << 10,
            limit_concurrency=512,
            timeout_graceful_shutdown=int(GRACE_S),
        )
    )
    serving = asyncio.create_task(server.serve([http]))
    _ready(settings, Address(settings.grpc.host, port), http, as_json)
    await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    collector.live.close()
    await receiver.stop(GRACE_S)
    await asyncio.to_thread(adopter.stop)
    await asyncio.to_thread(processes.stop)
    server.should_exit = True
    await serving
    return 0 if stop.is_set() else 1


def _watch_processes(collector: Collector, touch: Callable[[], None]) -> tuple[Processes, Adopter]:
    run_dir, store = collector.run_dir, collector.store
    collector.processes = Processes(run_dir, store, touch, lambda: collector.adopter.wake())
    collector.adopter = Adopter(run_dir, store, collector.processes.get, touch)
    return collector.processes, collector.adopter


class _Http(uvicorn.Server):
    """uvicorn without handlers of its own: signals belong to `_serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _call(loop: asyncio.AbstractEventLoop, what: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
        loop.call_soon_threadsafe(what)


def _warn(settings: Settings) -> None:
    """What an operator should know who opens it to more than this machine."""
    if not is_loopback(settings.http.host):
        logging.getLogger("pillion").warning(
            "--http (PILLION_HTTP) %s: UI and API have no authentication; publish the port on a loopback address alone",
            settings.http,
        )


def _ready(settings: Settings, grpc: Address, http: socket.socket, as_json: bool) -> None:
    _warn(settings)
    url = f"http://{Address(settings.http.host, http.getsockname()[1])}"
    if as_json:
        facts = {
            "ready": True,
            "ui": url,
            "grpc": str(grpc),
            "socket": str(settings.socket),
            "data": str(settings.data),
            "pid": os.getpid(),
            "version": VERSION,
        }
        line = orjson.dumps(facts).decode()
    else:
        line = f"pillion is up: UI {url} · OTLP {grpc} and unix:{settings.socket} · data {settings.data}"
    with contextlib.suppress(OSError, ValueError):  # nobody reads: no reason to stop collecting
        print(line, flush=True, file=sys.stdout)


def _open(settings: Settings) -> Store:
    try:
        return Store(settings.data, retention_age_s=settings.retention_age_s, retention_bytes=settings.retention_bytes)
    except StoreError as error:
        raise wrong(
            "data", settings.data, str(error), "or name another folder", _STORE_SETTING.get(error.kind, 1)
        ) from error


def _allow_descriptors() -> None:
    """As many as we may have: each connection, and each watched process (two), takes some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _make_directory(name: str, path: Path, mode: int = 0o700) -> None:
    """Of this mode if it is new, and writable."""
    try:
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
        run_folder.probe(path)
    except OSError as error:
        remedy = (
            "name a folder that can be written"
            if name == "data"
            else "name a path in a folder that can be written, or set PILLION_RUN_DIR"
        )
        raise wrong(name, path, _reason(error), remedy, 1) from error


@contextlib.contextmanager
def _socket_lock(path: Path) -> Iterator[None]:
    """One collector a socket: a lock beside it, held for life. What a dead one left behind is removed."""
    handle = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise wrong(
                "socket", path, "another collector is running there", "stop it, or name another path", 1
            ) from error
        _remove_stale(path)
        yield
        with contextlib.suppress(OSError):
            path.unlink()
        with contextlib.suppress(OSError):
            os.unlink(f"{path}.lock")
    finally:
        os.close(handle)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise wrong("socket", path, "a file that is no socket lies there", "remove it, or name another path", 1)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise wrong("socket", path, _reason(error), "remove it, or name another path", 1) from error
    raise wrong("socket", path, "another program is listening there", "stop it, or name another path", 1)


def _listen(name: str, address: Address) -> socket.socket:
    """A bound and listening socket, or the reason why not."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise wrong(name, address, "no such host", "give an address of this machine, such as 127.0.0.1:0") from error
    family, kind, proto, _, where = found[0]
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(128)
    except OSError as error:
        listener.close()
        remedy = "stop the program that has it, or choose another (port 0 takes a free one)"
        if error.errno == errno.EADDRNOTAVAIL:
            remedy = "give an address of this machine, such as 127.0.0.1:0"
        raise wrong(name, address, _reason(error), remedy, 1) from error
    return listener


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def command(flags: dict[str, Any], environ: Mapping[str, str]) -> int:
    """`pillion up` as the command line calls it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the loop takes both signals over
    run_dir = Path(rundir.choose(environ.get("PILLION_RUN_DIR")))
    try:
        return run(resolve(flags, environ, run_dir), run_dir, bool(flags.get("json")))
    except KeyboardInterrupt:
        return 0
