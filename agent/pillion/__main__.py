# SPDX-License-Identifier: Apache-2.0
"""The command `pillion`: `run` and `why` need nothing but this package; the rest is the collector's and the node's."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

USAGE = """\
usage: pillion run [--service NAME] [--] CMD [ARG ...]
       pillion why [PID | --all] [--json]
       pillion install --to DIR [--from BUNDLE]
       pillion canary [--bundle DIR] -- PYTHON [ARG ...]
       pillion --version | --help

  run      starts CMD with every Python process in it traced; its code, output and exit code stay as they are
  why      tells which processes are traced, and why others are not
  install  puts a bundle into a folder that containers mount; update and rollback
  canary   runs an interpreter with the module and without, and compares, before anything goes live
"""
WITHOUT_COLLECTOR = "the collector is not installed here: pip install 'pillion[collector]'\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 for trouble, 2 for wrong usage; `run` becomes the command instead."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        return _help(0 if args else 2)
    if args[0] in ("-V", "--version"):
        from pillion.start import VERSION

        sys.stdout.write(f"pillion {VERSION}\n")
        return 0
    if args[0] == "run":
        from pillion import run

        return run.main(args[1:])
    if args[0] == "why":
        from pillion import why

        return why.main(args[1:])
    if args[0] in ("install", "canary"):
        return _inject(args)
    return _collector(args)


def _inject(args: list[str]) -> int:
    try:
        from pillion_inject import cli
    except ImportError:  # in a bundle's copy that was taken apart
        sys.stderr.write(f"pillion {args[0]}: pillion_inject is not installed here: pip install pillion\n")
        return 2
    return cli.main(args)


def _help(code: int) -> int:
    out = sys.stderr if code else sys.stdout
    out.write(USAGE)
    try:
        from pillion_collector import cli
    except ImportError:
        out.write("\nThe node's side (up, services, traces, trace, ps, crashes, stats): " + WITHOUT_COLLECTOR)
        return code
    width = max(len(name) for name in cli.COMMANDS)
    out.write("\nThe node's side (pillion COMMAND --help):\n")
    out.write("".join(f"  {name:{width}}  {text}\n" for name, text in cli.COMMANDS.items()))
    return code


def _collector(args: list[str]) -> int:
    try:
        from pillion_collector import cli
    except ImportError as error:
        missing = "" if (error.name or "").startswith("pillion_collector") else f" ({error.name} is missing)"
        sys.stderr.write(f"pillion {args[0]}: {WITHOUT_COLLECTOR.rstrip()}{missing}\n")
        return 2
    return cli.main(args)


if __name__ == "__main__":
    sys.exit(main())
