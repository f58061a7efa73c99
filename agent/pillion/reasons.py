# SPDX-License-Identifier: Apache-2.0
"""reasons: the one table of codes: why a process is instrumented or is not, what that means, and what to do about it.

`code` in a record (rundir.record, native/record.c) and in /api/why is a name of this table, or one that an operator
gave a rule. docs/reasons.md is made of it (`python -m pillion.reasons`). Not imported by what rides in applications:
that writes the names alone.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Reason(NamedTuple):
        means: str
        do: str
else:
    from collections import namedtuple

    Reason = namedtuple("Reason", ("means", "do"))

NOTHING = "Nothing."
RESTART = "Start it again."
ALLOW = "Nothing; or put an `allow` line that it matches into your rules.conf, and start it again."

# What pillion itself decided inside the process.
DECIDED = {
    "INJECTED": Reason("It is instrumented.", NOTHING),
    "DISABLED": Reason(
        "PILLION_ENABLED switches pillion off for it.", "Unset PILLION_ENABLED, or set it to true, and start it again."
    ),
    "SDK_DISABLED": Reason(
        "OTEL_SDK_DISABLED switches tracing off for it.", "Unset OTEL_SDK_DISABLED and start it again."
    ),
    "VERSION": Reason(
        "This version of CPython is not supported; 3.8 to 3.15 are.",
        "Run it by a supported version, or install a pillion that knows this one.",
    ),
    "IMPLEMENTATION": Reason("It is a Python other than CPython.", "Nothing: only CPython is supported."),
    "FREE_THREADED": Reason("It is a free-threaded build of CPython.", "Run it by the build with the GIL."),
    "NO_SITE": Reason(
        "It was started with -S: the module `site`, by which pillion is started, is not imported.",
        "Leave -S out; -I and -E are no hindrance.",
    ),
    "NO_MODULE": Reason(
        "pillion's native module for this Python, libc and machine is absent or can't be loaded.",
        "Look at the reason. Install the bundle again (`pillion install`); `pillion canary -- PYTHON` tells more.",
    ),
    "START_FAILED": Reason(
        "pillion could not start in it and stood aside.",
        "Set PILLION_LOG to a file, start it again, report what is in it.",
    ),
    "OTHER_SDK": Reason(
        "The application set up an OpenTelemetry SDK of its own; two would count everything twice.",
        "Nothing. Take the SDK out of the application if pillion is to trace it.",
    ),
    "CRASHED": Reason(
        "The program died soon after its start, three times in a row, and is left alone now; or five programs of its"
        " executable did.",
        "See whether it still dies: then pillion isn't the cause. Let it in again by `pillion why --forgive`. It is"
        " tried again after a day, and by another version of pillion.",
    ),
    "RULE": Reason(
        "A deny line of the rules matches it.", "Change the line that the reason names, and start it again."
    ),
    "PACKAGE_MANAGER": Reason("It installs packages: left alone by default.", ALLOW),
    "BUILD_TOOL": Reason("It builds or checks programs: left alone by default.", ALLOW),
    "SYSTEM_SCRIPT": Reason("It belongs to the distribution: left alone by default.", ALLOW),
    "DEBUGGER": Reason("It is a debugger: left alone by default.", ALLOW),
    "EMBEDDER": Reason("It is another program with a Python inside: left alone by default.", ALLOW),
    "PILLION": Reason("It is a program of pillion: the collector, an install, a canary.", NOTHING),
    "OTHER_AGENT": Reason(
        "Another agent is in it already.",
        "Choose one. To have both, put an `allow` line that it matches into your rules.conf and start it again.",
    ),
}

# What is seen from outside, of processes that left no record (why_scan.py).
SEEN = {
    "FORKED": Reason("It was forked by an instrumented process, and is instrumented like that.", NOTHING),
    "RECORD_ELSEWHERE": Reason(
        "pillion is in it, but its record is not in this run directory.",
        "Compare PILLION_RUN_DIR of the process with that of the collector; in containers, share the folder.",
    ),
    "NOT_STARTED": Reason(
        "libpillion.so is in it, but pillion was not started: it is just starting, `site` is never imported in it, or"
        " the decision could not be recorded.",
        "Look again in a moment. Else see that its user may write into the run directory.",
    ),
    "NOT_REACHED": Reason(
        "Nothing brings pillion into it: no LD_PRELOAD in its environment, no /etc/ld.so.preload.",
        "Set LD_PRELOAD to libpillion.so for its container or service and start it again; by hand: `pillion run`.",
    ),
    "STARTED_BEFORE": Reason("It was started before pillion was installed.", RESTART),
    "PRELOAD_MISSING": Reason(
        "libpillion.so is named in its environment, but there is no such file where it runs.",
        "Mount the folder of pillion into its container, under the path that LD_PRELOAD has, and start it again.",
    ),
    "PRELOAD_REFUSED": Reason(
        "libpillion.so is named and there, but the dynamic loader left it out: not readable for its user, a mount"
        " without exec, a security module, another machine's file.",
        "Start it by hand and read the line that the loader writes.",
    ),
    "STATIC": Reason(
        "It is statically linked: nothing can be preloaded into it.",
        "Run it by a dynamically linked Python, or by `pillion run`.",
    ),
    "SECURE": Reason(
        "It runs with raised privileges (setuid, file capabilities): pillion stays out.",
        NOTHING,
    ),
    "OTHER_MACHINE": Reason(
        "It is a 32-bit program, or one of another machine.", "Nothing: x86_64 and aarch64 are supported."
    ),
    "UNREADABLE": Reason(
        "It could be Python, but this user may not look into it.", "Ask as root, or as the process's own user."
    ),
}

REASONS = {**DECIDED, **SEEN}


def explain(code: str) -> Reason:
    """Of any code: one that isn't in the table is an operator's own, of a rule."""
    known = REASONS.get(code)
    return known or Reason(f"A deny line of the rules with the code {code} matches it.", REASONS["RULE"].do)


def document() -> str:
    """docs/reasons.md."""
    lines = [
        "<!-- SPDX-License-Identifier: Apache-2.0. Made by `python -m pillion.reasons`. -->",
        "# Why is this process not instrumented?",
        "",
        "`pillion why [PID|--all]`, `/api/why` and the page Processes answer with one of these codes, the evidence,",
        "and what to do. A rule of your own may give any other code (`code=` in rules.conf).",
    ]
    for title, table in (
        ("Decided inside the process", DECIDED),
        ("Seen from outside, where there is no record", SEEN),
    ):
        lines += ["", f"## {title}", "", "| code | means | what to do |", "|---|---|---|"]
        lines += [f"| `{code}` | {reason.means} | {reason.do} |" for code, reason in table.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
