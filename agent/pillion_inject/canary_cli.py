# SPDX-License-Identifier: Apache-2.0
"""canary_cli: the command line of `pillion canary`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Sequence

from pillion_inject import FAILED, OK, USAGE, Trouble, canary, canary_run
from pillion_inject.cli import Parser

DESCRIPTION = """\
Runs an interpreter with the module and without it, in a run directory that is thrown away, and compares what a program
says and how it ends. Nothing that runs is touched, no collector is needed. With ARGS the command itself is run too,
at least twice without the module and once with it.
"""
EPILOG = """\
examples:
  pillion canary -- /usr/bin/python3
  pillion canary --bundle /opt/pillion -- venv/bin/python -m shop.selfcheck
  docker run --rm -v /opt/pillion:/opt/pillion:ro IMAGE python /opt/pillion/current/pillion_inject canary -- python

exit codes: 0 fit, 1 unfit, with why, 2 wrong usage
"""


def _options() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pillion canary",
        usage="pillion canary [OPTION ...] -- PYTHON [ARG ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument(
        "--bundle", metavar="DIR", help="a bundle, or what it was installed to (default: this pillion's own module)"
    )
    parser.add_argument("--seconds", metavar="N", type=float, default=10.0, help="a command that runs longer is told "
                        "to end (SIGTERM; default: 10)")  # fmt: skip
    parser.add_argument("--pairs", metavar="N", type=int, default=5, help="starts that are timed (default: 5)")
    parser.add_argument("--max-start-ms", metavar="MS", type=float, help="unfit when start-up takes longer by more")
    parser.add_argument("--max-rss-mb", metavar="MB", type=float, help="unfit when a process grows by more")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(args: Sequence[str]) -> int:
    """0 fit, 1 unfit or trouble, 2 wrong usage."""
    ours, dashes, command = _split(list(args))
    try:
        given = _options().parse_args(ours)
        if not dashes or not command:
            raise Trouble("-- PYTHON: name the interpreter, as in `pillion canary -- /usr/bin/python3`", USAGE)
        for name in ("seconds", "pairs"):
            if not 0 < getattr(given, name) < 1e6:
                raise Trouble(f"--{name}: is not more than 0", USAGE)
        options = canary.Options(command, given.pairs, given.seconds, given.max_start_ms, given.max_rss_mb)
        verdict = canary.examine(options, canary_run.road(given.bundle))
    except Trouble as trouble:
        sys.stderr.write(f"pillion canary: {trouble}\n")
        return trouble.code
    except SystemExit as end:  # --help
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(_json(verdict) if given.json else _table(verdict))
    return FAILED if verdict.why else OK


def _split(args: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in args:
        return args, False, []
    at = args.index("--")
    return args[:at], True, args[at + 1 :]


def _table(verdict: canary.Verdict) -> str:
    lines = [f"{verdict.python}, {verdict.road.path}"]
    for check in verdict.checks:
        mark = {True: "ok", False: "UNFIT", None: ""}[check.ok]
        lines.append(f"  {mark:5}  {check.name:10} {check.said}")
    lines.append("unfit: " + "; ".join(verdict.why) if verdict.why else "fit")
    return "\n".join(lines) + "\n"


def _json(verdict: canary.Verdict) -> str:
    answer = {
        "fit": not verdict.why,
        "why": verdict.why,
        "python": verdict.python,
        "via": verdict.road.via,
        "library": verdict.road.path,
        "start_ms": verdict.start_ms,
        "rss_mb": verdict.rss_mb,
        "checks": [check._asdict() for check in verdict.checks],
    }
    return json.dumps(answer, indent=2) + "\n"
