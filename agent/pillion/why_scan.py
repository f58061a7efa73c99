# SPDX-License-Identifier: Apache-2.0
"""why_scan: for every process that is or could be Python: instrumented or not, by which evidence, and what to do.

What a process recorded of itself counts first. Where there is no record, its mappings, environment and files tell how
far pillion came. `pillion why` and the collector's /api/why use it; under a millisecond a process.
"""

from __future__ import annotations

import contextlib
import os

from pillion import reasons, rundir, why_proc, why_rules
from pillion.why_proc import NATIVE, PRELOAD, Facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

    Row = dict[str, Any]
    Records = Mapping[tuple[int, int], list[Row]]

RECORDED = ("decision", "code", "reason", "service", "python", "via", "root", "pillion", "notes", "time_ns", "exe")


def scan(records: Iterable[Row], run_dir: str, pid: int = 0, proc: str = "/proc") -> list[Row]:
    """A row for each living process that is or could be Python, or for one of them."""
    known: dict[tuple[int, int], list[Row]] = {}
    for record in records:
        known.setdefault((record["pid"], record.get("start_ticks") or 0), []).append(record)
    rows = []
    for each in [pid] if pid else why_proc.all_pids(proc):
        try:
            facts = Facts(each, proc)
            if facts.is_python() or (facts.maps is None and record_of(facts, known) is not None):
                rows.append(judge(facts, known, run_dir))
        except (OSError, ValueError):
            continue  # it has ended meanwhile, or is none
    return rows


def record_of(facts: Facts, records: Records) -> Row | None:
    """Its own record: the pid as the process knows it, the same start, the same namespace where that can be seen.

    A file of its own user, or of root: in a shared folder others may lie.
    """
    for record in records.get((facts.own_pid, facts.start_ticks), ()):
        if record.get("owner", 0) not in (0, *facts.uids):
            continue
        if not facts.pid_ns or not record.get("pid_ns") or record["pid_ns"] == facts.pid_ns:
            return record
    return None


def judge(facts: Facts, records: Records, run_dir: str) -> Row:
    """The whole answer for one process."""
    own = record_of(facts, records)
    if own is not None:
        return told(facts, own)
    code, evidence, parent = _seen(facts, records, run_dir)
    row = {**facts.describe(), "code": code, "reason": "; ".join(evidence), "evidence": evidence}
    if parent is not None and not row["pid_ns"]:
        row["pid_ns"] = parent.get("pid_ns") or 0
    row = finish(row)
    if parent is not None:
        row.update({key: parent[key] for key in ("service", "python", "via", "root", "pillion") if key in parent})
    return row


def told(facts: Facts, record: Row) -> Row:
    """What it recorded itself, with what can be seen of it now."""
    evidence = [str(record["reason"])] if record.get("reason") else []
    native = facts.mapped(NATIVE.pattern)
    if native:
        evidence.append(f"mapped: {native}")
    seen = {key: value for key, value in facts.describe().items() if value or key not in record}
    return finish({**record, **seen, **_of(record), "evidence": evidence})


def finish(row: Row) -> Row:
    """With id, decision, and the words for its code."""
    if not row.get("code"):  # of an older pillion
        row["code"] = "INJECTED" if row.get("decision") == "injected" else "START_FAILED"
    code = str(row["code"])
    reason = reasons.explain(code)
    decision = row.get("decision") or {"UNREADABLE": "unknown"}.get(code, "injected" if code in INJECTED else "not")
    row.update(decision=decision, means=reason.means, do=reason.do)
    row["id"] = rundir.name(row.get("own_pid") or row["pid"], row.get("start_ticks") or 0, row.get("pid_ns") or 0)
    return row


INJECTED = ("INJECTED", "FORKED", "RECORD_ELSEWHERE")


def ended(record: Row) -> Row:
    """The row of a process that is not found: it is gone, or in a pid namespace that can't be seen from here."""
    identity = {key: record.get(key) for key in ("pid", "start_ticks", "pid_ns", "uid", "parent_pid")}
    evidence = [str(record["reason"])] if record.get("reason") else []
    command = os.path.basename(str(record.get("exe") or ""))
    here = rundir.pid_namespace()
    elsewhere = here not in (0, rundir.INITIAL_NAMESPACE) and record.get("pid_ns", here) != here
    alive = None if elsewhere else False
    return finish({**identity, "command": command, "alive": alive, **_of(record), "evidence": evidence})


def _of(record: Row) -> Row:
    return {key: record[key] for key in RECORDED if record.get(key) is not None}


def _seen(facts: Facts, records: Records, run_dir: str) -> tuple[str, list[str], Row | None]:
    """Code, evidence, and the ancestor's record that speaks for it too."""
    if facts.maps is None:
        return _unreadable(facts, records, run_dir)
    native, library = facts.mapped(NATIVE.pattern), facts.mapped(PRELOAD)
    if facts.pid == os.getpid():
        native = ""  # loaded to ask the rules
    if not native and not library:
        code, evidence = _why_not_reached(facts)
        argv, environ = facts.command_line()
        ruled = why_rules.would_deny(facts.exe, argv, environ, facts.uid)
        return code, [*evidence, ruled] if ruled else evidence, None
    ancestor, parent = _ancestor(facts, records)
    mapped = f"mapped: {native or library}"
    if ancestor is not None:
        evidence = [f"forked from {parent}, which is the same program", mapped]
        return ("FORKED" if native else str(ancestor.get("code") or "NOT_STARTED")), evidence, ancestor
    if facts.is_other_implementation():
        return "IMPLEMENTATION", [mapped], None
    if not native:
        return "NOT_STARTED", [mapped], None
    theirs = _run_dir_of(facts)
    if _is_same(facts.inside(theirs), run_dir):
        return "FORKED", ["forked by a process that has ended", mapped], None
    return "RECORD_ELSEWHERE", [f"its run directory is {theirs}, here it is {run_dir}", mapped], None


def _run_dir_of(facts: Facts) -> str:
    """Where it puts its record, as it sees the path: what rundir.choose finds there."""
    variables = facts.variables() or {}
    if variables.get("PILLION_RUN_DIR"):
        return variables["PILLION_RUN_DIR"]
    private = variables.get("XDG_RUNTIME_DIR")
    usual = ["/run/pillion", *([f"{private}/pillion"] if private else []), f"/dev/shm/pillion-{facts.uid}"]
    found = (path for path in usual if os.path.isdir(facts.inside(path)))
    return next(found, f"/tmp/pillion-{facts.uid}")


def _is_same(path: str, other: str) -> bool:
    """One folder, maybe mounted in two places."""
    try:
        return os.path.samestat(os.stat(path), os.stat(other))
    except OSError:
        return False


def _unreadable(facts: Facts, records: Records, run_dir: str) -> tuple[str, list[str], Row | None]:
    """Another user's. Each Python that starts with the library leaves a record: one without may be a fork."""
    denied = [f"{facts.folder}/{name}: {why}" for name, why in facts.denied.items()]
    ancestor, parent = _ancestor(facts, records)
    if ancestor is not None:
        code = str(ancestor.get("code") or "NOT_STARTED")
        evidence = [f"forked from {parent}, whose command line it has", *denied]
        return ("FORKED" if code == "INJECTED" else code), evidence, ancestor
    ring = rundir.name(facts.own_pid, facts.start_ticks, 0)
    with contextlib.suppress(OSError):
        for name in os.listdir(f"{run_dir}/rings"):
            if name.startswith((f"{ring}-", f"{ring}.")):
                return "FORKED", [f"its ring: {name}", *denied], None
    return "UNREADABLE", denied, None


def _ancestor(facts: Facts, records: Records) -> tuple[Row | None, int]:
    """The nearest one with a record, of those that run the same executable."""
    above = facts
    for _ in range(64):
        try:
            above = Facts(above.parent_pid, os.path.dirname(facts.folder))
        except (OSError, ValueError):
            break
        if above.exe != facts.exe or (not facts.exe and above.arguments != facts.arguments):
            break
        found = record_of(above, records)
        if found is not None:
            return found, above.pid
    return None, 0


def _why_not_reached(facts: Facts) -> tuple[str, list[str]]:
    program = facts.program()
    if program is not None and not program[0]:
        return "OTHER_MACHINE", [f"{facts.exe}: not a program for 64-bit x86 or ARM"]
    if program is not None and not program[1]:
        return "STATIC", [f"{facts.exe}: asks for no dynamic loader"]
    named, evidence = _named(facts)
    if not named:
        return "NOT_REACHED", evidence
    if facts.is_secure():
        return "SECURE", [*evidence, "AT_SECURE is set in its auxiliary vector"]
    try:
        changed = os.stat(facts.inside(named)).st_ctime
    except FileNotFoundError:
        return "PRELOAD_MISSING", [*evidence, f"{named}: no such file where it runs"]
    except OSError as error:
        return "PRELOAD_REFUSED", [*evidence, f"{named}: {error.strerror}"]
    if changed > facts.started():
        return "STARTED_BEFORE", [*evidence, f"{named} is younger than the process"]
    return "PRELOAD_REFUSED", [*evidence, f"{named} is there, and not mapped"]


def _named(facts: Facts) -> tuple[str, list[str]]:
    """The path by which libpillion.so is to be loaded, and how that is known."""
    variables = facts.variables()
    if variables is None:
        return "", [f"{facts.folder}/environ: not readable"]
    value = variables.get("LD_PRELOAD", "")
    for path in value.replace(":", " ").split():
        if os.path.basename(path) == PRELOAD:
            return path, [f"LD_PRELOAD={value}"]
    evidence = [f"LD_PRELOAD={value}" if value else "LD_PRELOAD is not set in its environment"]
    try:
        with open(facts.inside("/etc/ld.so.preload"), encoding="utf-8", errors="replace") as file:
            wide = file.read(65536).replace(":", " ").split()
            changed = os.fstat(file.fileno()).st_ctime
    except OSError:
        return "", [*evidence, "no /etc/ld.so.preload where it runs"]
    for path in wide:
        if os.path.basename(path) == PRELOAD:
            when = " (changed since it started)" if changed > facts.started() else ""
            return path, [*evidence, f"/etc/ld.so.preload names {path}{when}"]
    return "", [*evidence, "/etc/ld.so.preload does not name it"]
