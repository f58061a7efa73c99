# SPDX-License-Identifier: Apache-2.0
"""Instructions a step of a program takes, by function, counted by valgrind's callgrind: the same on any machine.

A program is run with N and with 3 N rounds; what it does to start and to end cancels out. Only the main thread counts:
it's the application's, and what other threads do depends on when they get to do it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POSITION = re.compile(r"^(ob|fl|fi|fe|fn|cob|cfi|cfl|cfn)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^[+*-]?\d* ?(\d+)$")
Costs = Counter[tuple[str, str]]  # (object file, function) -> instructions


def valgrind() -> str | None:
    return shutil.which("valgrind")


def parse(text: str) -> Costs:
    """Self costs of a callgrind.out file. Names are told once and then called by their number."""
    names: dict[tuple[str, str], str] = {}
    costs: Costs = Counter()
    place = {"ob": "?", "fn": "?"}
    called = False
    for line in text.splitlines():
        if line and line[0] in "0123456789+-*":
            if called:  # what a callee took, which is told there
                called = False
            else:
                costs[place["ob"], place["fn"]] += int(line.rpartition(" ")[2])
        elif line.startswith("calls="):
            called = True
        elif found := POSITION.match(line):
            kind, number, name = found.groups()
            family = kind[-2:]
            if name is not None:
                names[family, number] = name.partition("'")[0]  # of a recursion's levels
            if kind in place:
                place[kind] = names[family, number]
    return costs


def run(command: list[str], environment: dict[str, str]) -> Costs:
    """One run under callgrind; its main thread's costs."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        tool = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}"]
        done = subprocess.run([*tool, *command], env=environment, capture_output=True, text=True, cwd=folder)
        threads = sorted(Path(folder).glob("out*-01"))
        if done.returncode or not threads:
            raise RuntimeError(f"{' '.join(command)}: code {done.returncode}\n{done.stderr[-3000:]}")
        return parse(threads[0].read_text())


def steps(command: list[str], rounds: int, environment: dict[str, str] | None = None) -> Costs:
    """Instructions a round, by function, times 1000 (they are whole numbers then)."""
    base = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    base |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"} | (environment or {})
    few, many = run([*command, str(rounds)], base), run([*command, str(3 * rounds)], base)
    many.subtract(few)
    return Counter({where: cost * 1000 // (2 * rounds) for where, cost in many.items() if cost})
