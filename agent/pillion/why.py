# SPDX-License-Identifier: Apache-2.0
"""why: `pillion why [PID]`: what was decided for each process that found boot/, and the reason, as boot recorded it."""

from __future__ import annotations

import json
import os
import sys

from pillion import config, rundir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

USAGE = """\
usage: pillion why [PID] [--json]

Lists the processes that pillion was started in, whether they are traced, and why not. Run directory: PILLION_RUN_DIR.
"""


def records(run_dir: str) -> list[dict[str, Any]]:
    """All records, oldest first; a torn or foreign file is left out. Raises OSError when there's no such folder."""
    found = []
    folder = os.path.join(run_dir, "processes")
    for name in os.listdir(folder):
        if not name.endswith(".json"):
            continue
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                record = json.load(file)
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and isinstance(record.get("pid"), int):
            record["alive"] = alive(record["pid"], record.get("start_ticks"))
            found.append(record)
    return sorted(found, key=lambda record: str(record.get("time_ns", "")))


def alive(pid: int, ticks: object) -> bool:
    """Whether this very process runs: the same pid with the same start."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[19]) == ticks
    except (OSError, ValueError, IndexError):
        return False


def _line(record: dict[str, Any]) -> str:
    state = "running" if record["alive"] else "ended"
    traced = "traced" if record.get("decision") == "injected" else "not traced"
    reason = record.get("reason") or ""
    text = f"{record['pid']:>8}  {state:7}  {traced:10}  {record.get('service') or '-':24}  {record.get('exe', '')}"
    notes = "".join(f"\n{'':10}note: {note}" for note in record.get("notes") or ())
    return text + (f"\n{'':10}reason: {reason}" if reason else "") + notes


def main(args: Sequence[str]) -> int:
    """Prints the table or JSON. 1: nothing known; 2: wrong usage."""
    rest = [arg for arg in args if arg != "--json"]
    if any(arg in ("-h", "--help") for arg in rest):
        sys.stdout.write(USAGE)
        return 0
    if len(rest) > 1 or not all(arg.isdigit() for arg in rest):
        sys.stderr.write("pillion why: PID is one number\n" + USAGE.splitlines()[0] + "\n")
        return 2
    run_dir = rundir.choose(config.read(os.environ)[0].run_dir)
    try:
        found = [record for record in records(run_dir) if not rest or record["pid"] == int(rest[0])]
    except OSError as error:
        sys.stderr.write(
            f"pillion why: {run_dir}: {error.strerror}: no process has been started here (PILLION_RUN_DIR)\n"
        )
        return 1
    if len(args) > len(rest):
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    elif not found:
        sys.stderr.write(f"pillion why: no record of such a process in {run_dir}/processes\n")
    else:
        sys.stdout.write("".join(_line(record) + "\n" for record in found))
    return 0 if found else 1
