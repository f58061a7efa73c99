# SPDX-License-Identifier: Apache-2.0
"""why: `pillion why [PID|--all]`: which processes are instrumented, why others are not, and what to do about it."""

from __future__ import annotations

import json
import os
import sys

from pillion import config, guarded, rundir, why_records, why_rules, why_scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

USAGE = """\
usage: pillion why [PID | --all] [--json]
       pillion why --forgive [NAME] [--json]

  without arguments   every process that left a record: what was decided, and the reason
  PID                 one process in detail, with the evidence and what to do
  --all               every process of this machine that is or could be Python, record or not, and those that ended
  --forgive [NAME]    lets in again what is left alone because it crashed at its start: all of it, or the executable or
                      program of this name or path

The run directory is PILLION_RUN_DIR, or the first of the usual places. docs/reasons.md has all codes.
"""
STATES = {"injected": "traced", "not": "not traced", "unknown": "unknown"}


def main(args: Sequence[str]) -> int:
    """Prints a table or JSON. 1: nothing known; 2: wrong usage."""
    options = [arg for arg in args if arg.startswith("-")]
    rest = [arg for arg in args if not arg.startswith("-")]
    if "-h" in options or "--help" in options:
        sys.stdout.write(USAGE)
        return 0
    forgiving = "--forgive" in options
    wrong = set(options) - {"--json", "--all", "--forgive"} or len(rest) > 1
    if wrong or (rest and not forgiving and ("--all" in options or not rest[0].isdigit())):
        sys.stderr.write("pillion why: PID is one number\n" + USAGE.split("\n\n", 1)[0] + "\n")
        return 2
    run_dir = rundir.choose(config.read(os.environ)[0].run_dir)
    if forgiving:
        return _forgive(run_dir, rest[0] if rest else None, "--json" in options)
    pid = int(rest[0]) if rest else 0
    try:
        records = why_records.records(run_dir)
    except OSError as error:
        if not pid and "--all" not in options:
            what = f"{run_dir}: {error.strerror}: no process has been started here (PILLION_RUN_DIR)"
            sys.stderr.write(f"pillion why: {what}\n")
            return 1
        records = []
    rows = find(records, run_dir, pid, "--all" in options)
    return _show(rows, run_dir, pid, "--json" in options)


def find(records: list[dict[str, Any]], run_dir: str, pid: int = 0, everything: bool = True) -> list[dict[str, Any]]:
    """Rows of what lives (without a pid: with a record, or everything), and of the records of what has ended."""
    living = why_scan.scan(records, run_dir, pid)
    by_record = [why_scan.ended(record) for record in records if not pid or record["pid"] == pid]
    seen = {(row["own_pid"], row["start_ticks"]) for row in living}
    left = [row for row in by_record if (row["pid"], row["start_ticks"]) not in seen]
    if not everything and not pid:
        living = [row for row in living if "time_ns" in row]
    return sorted(left, key=lambda row: row.get("time_ns") or 0) + living


def _show(rows: list[dict[str, Any]], run_dir: str, pid: int, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    elif rows and pid:
        sys.stdout.write("\n".join(_detail(row) for row in rows))
    elif rows:
        sys.stdout.write("".join(_line(row) for row in rows))
        problems = why_rules.problems(row["root"] for row in rows if row.get("root"))
        sys.stdout.write("".join(f"   rules  {problem}\n" for problem in problems))
    elif pid and os.path.isdir(f"/proc/{pid}"):
        sys.stderr.write(f"pillion why: process {pid} is not a Python, as far as can be seen; it has no record\n")
    else:
        sys.stderr.write(f"pillion why: no such process is running, and no record of one is in {run_dir}/processes\n")
    return 0 if rows else 1


def _state(row: dict[str, Any]) -> str:
    return {True: "running", False: "ended"}.get(row["alive"], "elsewhere")


def _line(row: dict[str, Any]) -> str:
    state = _state(row)
    text = f"{row['pid']:>8}  {state:7}  {STATES.get(row['decision'], row['decision']):10}  {row['code']:16}"
    text += f"  {row.get('service') or '-':24}  {row.get('exe') or row.get('command') or ''}\n"
    if row.get("reason"):
        text += f"{'':10}reason: {row['reason']}\n"
    return text + "".join(f"{'':10}note: {note}\n" for note in row.get("notes") or ())


def _detail(row: dict[str, Any]) -> str:
    who = f"{row['pid']} ({_state(row)}), user {row.get('uid', '?')}"
    facts = [("process", who), ("executable", row.get("exe") or "?"),
             ("decision", STATES.get(row["decision"], row["decision"])), ("code", row["code"]), ("means", row["means"]),
             *(("evidence", text) for text in row["evidence"]), *(("note", text) for text in row.get("notes") or ()),
             ("do", row["do"]), ("service", row.get("service")), ("python", row.get("python")),
             ("pillion", " ".join(str(row[key]) for key in ("pillion", "root", "via") if row.get(key)))]  # fmt: skip
    return "".join(f"{name:>12}  {text}\n" for name, text in facts if text)


def _forgive(run_dir: str, which: str | None, as_json: bool) -> int:
    try:
        done = guarded.forgive(run_dir, which)
    except OSError as error:
        sys.stderr.write(f"pillion why: {error.filename}: {error.strerror}\n")
        return 1
    if as_json:
        sys.stdout.write(json.dumps(done, indent=2) + "\n")
    for one in () if as_json else done:
        sys.stdout.write(f"let in again: {one['program'] or 'every program'} of {one['exe']}\n")
    if not done:
        named = f" of the name {which}" if which else ""
        sys.stderr.write(f"pillion why: nothing{named} is left alone because of crashes, in {run_dir}/guard\n")
    return 0 if done else 1
