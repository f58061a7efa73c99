# SPDX-License-Identifier: Apache-2.0
"""canary_run: one command, run once with the module and once without, in a run directory that is thrown away.

The environment of both is the caller's own but for what would send the canary's data elsewhere; they differ in nothing
but LD_PRELOAD (or PYTHONPATH, where no library is at hand).
"""

from __future__ import annotations

import json
import os
import pkgutil
import resource
import signal
import subprocess
import threading
import time
from typing import Any, NamedTuple, Sequence

from pillion_inject import Trouble, home
from pillion_inject.manifest import LIBRARY

PROBE = "canary_probe.py"
GRACE_S = 10.0  # after SIGTERM
ELSEWHERE = ("ENDPOINT", "HEADERS", "PROTOCOL", "COMPRESSION", "CERTIFICATE", "SAMPLER", "SAMPLER_ARG", "EXPORTER")
OURS = ("PILLION_SOCKET", "PILLION_RUN_DIR", "PILLION_LOG", "PILLION_EXIT_TIMEOUT", "PILLION_SHARED")


class Road(NamedTuple):
    """How the module gets in: the library, or else the folder for PYTHONPATH."""

    via: str  # preload or path
    path: str

    @property
    def variable(self) -> str:
        """What of the environment is different with it."""
        return "PYTHONPATH" if self.via == "path" else "LD_PRELOAD"

    def join(self, environ: dict[str, str]) -> dict[str, str]:
        """An environment with the module in it; what else is preloaded stays in front."""
        if self.via == "path":
            return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, [self.path, environ.get("PYTHONPATH")]))}
        return {**environ, "LD_PRELOAD": ":".join(filter(None, [environ.get("LD_PRELOAD"), self.path]))}


class Run(NamedTuple):
    """How one run ended."""

    code: int  # negative: the signal
    out: bytes
    err: bytes
    seconds: float
    cpu: float  # seconds, its children's too
    cut: bool  # it was told to end

    def how(self) -> str:
        """Its end in words."""
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return f"ended by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"ended by signal {-self.code}"


def road(bundle: str | None) -> Road:
    """The library of the bundle, or that of the installed package, or that package's own boot. Raises Trouble."""
    here = home()
    arch = os.uname().machine
    folders = [bundle] if bundle else [here, os.path.join(here, "pillion")]
    for folder in folders:
        for name in (LIBRARY, os.path.join(arch, LIBRARY), os.path.join("current", LIBRARY)):
            path = os.path.join(os.path.abspath(folder), name)
            if os.path.isfile(path):
                return Road("preload", path)
    boot = os.path.join(here, "pillion", "boot")
    if bundle or not os.path.isdir(boot):
        raise Trouble(
            f"--bundle {folders[0]}: holds no {LIBRARY} for {arch}: name the folder of a bundle or of an install", 2
        )
    return Road("path", boot)


class Place:
    """The throw-away run directory, on a tmpfs where there is one, and the environments of the runs."""

    def __init__(self, folder: str, road: Road, environ: dict[str, str]) -> None:
        self.folder, self.road = folder, road
        self.log = os.path.join(folder, "pillion.log")
        self.bare = _clean(environ)
        self.bare.update(PILLION_RUN_DIR=folder, PILLION_LOG=self.log, PILLION_EXIT_TIMEOUT="10000")
        self.bare["OTEL_TRACES_SAMPLER"] = "always_on"
        self.probe = _probe(folder)
        # As a collector makes them: the library itself makes no folder.
        for name in ("rings", "processes", "guard"):
            os.mkdir(os.path.join(folder, name), 0o700)

    def run(self, command: Sequence[str], traced: bool, seconds: float = 60, **more: str) -> Run:
        """Runs a command; after `seconds` it is told to end."""
        environ = {**self.bare, **more}
        return run(command, self.road.join(environ) if traced else environ, self.folder, seconds)

    def records(self) -> list[dict[str, Any]]:
        """What was decided for each process since the last question, oldest first."""
        found = []
        folder = os.path.join(self.folder, "processes")
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            try:
                with open(path, encoding="utf-8") as file:
                    record = json.load(file)
            except (OSError, ValueError):
                continue
            os.unlink(path)
            if isinstance(record, dict):
                found.append(record)
        return sorted(found, key=lambda record: int(record.get("time_ns") or 0))

    def rings(self) -> int:
        """How many rings are left; taken away, and with them the marks of starts: a killed one is no crash here."""
        self._empty("guard")
        return self._empty("rings")

    def _empty(self, name: str) -> int:
        folder = os.path.join(self.folder, name)
        names = os.listdir(folder)
        for each in names:
            os.unlink(os.path.join(folder, each))
        return len(names)


def _probe(folder: str) -> str:
    """The program's file: this package may lie in a zip file, out of which nothing is run."""
    path = os.path.join(folder, PROBE)
    with open(path, "wb") as file:
        file.write(pkgutil.get_data("pillion_inject", PROBE) or b"")
    return path


def _clean(environ: dict[str, str]) -> dict[str, str]:
    """The caller's environment without what says where data goes, and without pillion if it's in there already."""
    kept = {
        key: value
        for key, value in environ.items()
        if key not in OURS and not (key.startswith("OTEL_") and key.endswith(ELSEWHERE))
    }
    for key, separators in (("LD_PRELOAD", ": "), ("PYTHONPATH", os.pathsep)):
        if key not in kept:
            continue
        parts = kept[key].replace(separators[-1], separators[0]).split(separators[0])
        others = [part for part in parts if not part.endswith((LIBRARY, "/pillion/boot"))]
        if len(others) < len(parts):
            kept[key] = separators[0].join(others)
            if not others:
                del kept[key]
    return kept


def run(command: Sequence[str], environ: dict[str, str], scratch: str, seconds: float) -> Run:
    """Runs a command to its end, its output into files: a grandchild that holds a pipe would keep us waiting."""
    paths = [os.path.join(scratch, name) for name in ("out", "err")]
    begin, spent = time.perf_counter(), _cpu()
    with open(paths[0], "wb") as out, open(paths[1], "wb") as err:
        try:
            process = subprocess.Popen(
                list(command), env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            raise Trouble(f"{command[0]}: {error.strerror}: name a Python interpreter", 2) from None
        told: list[float] = []
        timers = [
            threading.Timer(seconds, _tell, (process, told)),
            threading.Timer(seconds + GRACE_S, lambda: os.killpg(process.pid, signal.SIGKILL)),
        ]
        for timer in timers:
            timer.daemon = True
            timer.start()
        code = process.wait()
        taken, spent = time.perf_counter() - begin, _cpu() - spent
        for timer in timers:
            timer.cancel()
        _end_rest(process.pid)
    texts = []
    for path in paths:
        with open(path, "rb") as file:
            texts.append(file.read())
    return Run(code, texts[0], texts[1], taken, spent, bool(told))


def _tell(process: subprocess.Popen[bytes], told: list[float]) -> None:
    told.append(time.perf_counter())
    process.terminate()


def _cpu() -> float:
    """What all children that ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _end_rest(group: int) -> None:
    """What the command left running in its group is ended: the next run needs its ports."""
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
