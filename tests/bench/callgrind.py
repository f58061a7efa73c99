# SPDX-License-Identifier: Apache-2.0
"""Instructions that a step of a program takes, by function, counted by valgrind's callgrind: no clock is asked.

A program is run with N and with 3 N rounds; what it does to start and to end cancels out. Only the main thread counts:
it's the application's, and what other threads do depends on when they get to do it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEPS = ROOT / "tests" / "bench" / "programs" / "steps.py"
POSITION = re.compile(r"^(ob|fn|cob|cfn)=\((\d+)\)(?: (.*))?$")
# What the interpreter does for an attribute that its method cache (4,096 places, found by addresses) hasn't: who, what.
MISSES = ("_PyType_Lookup", "find_name_in_mro")
# (object file, function) -> its own instructions; (caller, callee, "calls") -> what pillion's functions had others do,
# and the misses of the method cache
Costs = Counter[tuple[str, ...]]
SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def parse(text: str) -> Costs:
    """Own costs of a callgrind.out file. Names are told once and then called by their number."""
    names: dict[tuple[str, str], str] = {}
    costs: Costs = Counter()
    place = {"ob": "?", "fn": "?"}
    callee: dict[str, str] = {}
    called = False
    for line in text.splitlines():
        if line[:1] in "0123456789+-*" and line:
            taken = int(line.rpartition(" ")[2])
            if not called:
                costs[place["ob"], place["fn"]] += taken
            elif callee["cfn"] == MISSES[1] or (
                "_native" in place["ob"] and "_native" not in callee.get("cob", place["ob"])
            ):
                costs[place["fn"], callee["cfn"], "calls"] += taken
            if called:
                called, callee = False, {}
        elif line.startswith("calls="):
            called = True
        elif found := POSITION.match(line):
            kind, number, name = found.groups()
            if name is not None:
                names[kind[-2:], number] = name.partition("'")[0]  # of a recursion's levels
            if kind in place:
                place[kind] = names[kind, number]
            else:
                callee[kind] = names[kind[-2:], number]
    return costs


def run(command: list[str], environment: dict[str, str]) -> Costs:
    """One run under callgrind; its main thread's costs."""
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        tool = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={folder}/out"]
        variables = environment | {"PILLION_RUN_DIR": folder}
        done = subprocess.run([*tool, *command], env=variables, capture_output=True, text=True, cwd=folder)
        threads = sorted(Path(folder).glob("out-01"))
        if done.returncode or not threads:
            raise RuntimeError(f"{' '.join(command)}: code {done.returncode}\n{done.stderr[-3000:]}")
        return parse(threads[0].read_text())


def difference(command: list[str], rounds: int, **variables: str) -> Costs:
    """Instructions a round, times 1000 (they are whole numbers then)."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    environment = kept | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"} | variables
    with ThreadPoolExecutor(2) as pool:
        few, many = pool.map(lambda times: run([*command, str(times * rounds)], environment), (1, 3))
    many.subtract(few)
    return Counter({where: cost * 1000 // (2 * rounds) for where, cost in many.items() if cost})


def python(step: str, rounds: int, traced: bool = True, **variables: str) -> Costs:
    """A step of programs/steps.py, with pillion in the process or without.

    Both have the same variables: requests goes through all of them four times a request, some 20,000 instructions each.
    """
    boot = str(ROOT / "agent" / "pillion" / ("boot" if traced else "none"))
    variables = {"PYTHONPATH": boot, "OTEL_METRIC_EXPORT_INTERVAL": "86400000"} | variables  # no export meanwhile
    return difference([sys.executable, str(STEPS), step], rounds, **variables)


def ours(costs: Costs) -> float:
    """Instructions in pillion's own module."""
    return sum(cost for where, cost in costs.items() if len(where) == 2 and "_native" in where[0]) / 1000


def all_of(costs: Costs) -> float:
    return sum(cost for where, cost in costs.items() if len(where) == 2) / 1000


def asked(costs: Costs, callers: tuple[str, ...]) -> float:
    """Instructions outside of pillion's module on behalf of these functions: of it, or of MISSES."""
    return sum(cost for where, cost in costs.items() if len(where) == 3 and where[0] in callers) / 1000
