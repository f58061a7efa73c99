# SPDX-License-Identifier: Apache-2.0
"""Figures of short processes, variants interleaved: start-up, import, cost of a span, cost of an unsampled hook.

CPU is user + system of the process and its threads, from the kernel's rusage; never wall time.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.peers import Variant, injected

HERE = Path(__file__).resolve().parent
LOG = Path(__file__).resolve().parents[2] / "build" / "bench" / "stderr.log"
Samples = dict[str, dict[str, list[float]]]  # variant -> figure -> samples


def cpu_of(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Runs it to its end: CPU ms of it and the children it waited for, and its output."""
    with open(LOG, "a") as log:
        process = subprocess.Popen(
            command, cwd=HERE / "apps", env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}; see {LOG}")
    return (used.ru_utime + used.ru_stime) * 1e3, output


def with_module(variant: Variant) -> dict[str, str]:
    """The environment in which a plain `python` carries the variant's agent, with no command around it."""
    name = variant.name.split()[0]
    return variant.environment() if name == "bare" else variant.environment(PYTHONPATH=injected(variant.venv, name))


def startup(variants: Iterable[Variant], times: int) -> Samples:
    """`python -c pass` with the module injected, the same behind the variant's command, and the import of app A."""
    found: Samples = defaultdict(lambda: defaultdict(list))
    for _ in range(times):
        for variant in variants:
            own, row = with_module(variant), found[variant.name]
            row["pass_ms"].append(cpu_of([variant.python, "-c", "pass"], own)[0])
            row["import_ms"].append(cpu_of([variant.python, "-c", "import app_a"], own)[0])
            command = [*variant.command, variant.python, "-c", "pass"]
            row["command_ms"].append(cpu_of(command, variant.environment())[0])
    return found


def program(name: str, variants: Iterable[Variant], times: int, rounds: int, count: int, **more: str) -> Samples:
    """A program of programs/, `times` times for each variant in turn; its own samples put together."""
    found: Samples = defaultdict(lambda: defaultdict(list))
    for _ in range(times):
        for variant in variants:
            file = str(HERE / "programs" / f"{name}.py")
            command = [variant.python, file, variant.name, str(rounds), str(count)]
            said: dict[str, list[float]] = json.loads(cpu_of(command, with_module(variant) | more)[1].splitlines()[-1])
            for figure, samples in said.items():
                found[variant.name][figure].append(median(samples))
    return found


def medians(samples: Samples) -> dict[str, dict[str, float]]:
    return {name: {figure: median(values) for figure, values in row.items()} for name, row in samples.items()}


def added(samples: Samples, figure: str) -> dict[str, float]:
    """What each variant adds to the bare process: the median of the paired differences."""
    bare = samples["bare"][figure]
    rows: dict[str, Any] = {name: row[figure] for name, row in samples.items() if name != "bare"}
    return {name: median(a - b for a, b in zip(row, bare, strict=True)) for name, row in rows.items()}
