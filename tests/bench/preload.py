# SPDX-License-Identifier: Apache-2.0
"""What libpillion.so adds to the start of a program, in time:  python -m tests.bench.preload [--rounds N]

Each program is started with it and without it in turn, from a small C program; the smallest and the median time of each
are told. Nothing here is a test: times belong to the machine. Tests count instructions (tests/preload/test_cost.py).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "agent" / "pillion" / "libpillion.so"
PROGRAMS = {
    "true": ["/bin/true"],
    "sh -c :": ["/bin/sh", "-c", ":"],
    "bash -c :": ["/bin/bash", "-c", ":"],
    "ls": ["/bin/ls", "/"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -S -c pass": [sys.executable, "-S", "-c", "pass"],
}


def main() -> int:
    """Prints one line a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        spawn = Path(folder) / "spawn"
        source = ROOT / "tests" / "bench" / "programs" / "spawn_cost.c"
        subprocess.run(["cc", "-O2", "-o", spawn, source], check=True)
        print(f"{'µs, smallest / median':24} {'bare':>17} {'preloaded':>17} {'more':>15}")
        for name, command in PROGRAMS.items():
            times = rounds if "python" not in name else max(rounds // 10, 10)
            told = subprocess.run([spawn, str(times), LIBRARY, *command], capture_output=True, text=True, check=True)
            bare_min, bare, ours_min, ours = map(float, told.stdout.split())
            more = f"{ours_min - bare_min:7.1f}/{ours - bare:7.1f}"
            print(f"{name:24} {bare_min:8.1f}/{bare:8.1f} {ours_min:8.1f}/{ours:8.1f} {more}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
