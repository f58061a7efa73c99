# SPDX-License-Identifier: Apache-2.0
"""run: `pillion run [--service NAME] -- CMD …`: the command itself, with boot/ on its PYTHONPATH.

It becomes the command (exec), so signals, exit code, pid and terminal are the command's. Nothing is printed, but for
wrong usage and, on a terminal, one hint when no collector listens.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot")
USAGE = """\
usage: pillion run [--service NAME] [--] CMD [ARG ...]

Starts CMD with every Python process in it traced. Its code, output and exit code stay as they are.

  --service NAME   service.name of its spans (OTEL_SERVICE_NAME); default: the program's name

  pillion run -- python app.py
  pillion run --service shop -- gunicorn -w 2 shop:app
"""


def wrong(message: str) -> int:
    """One line about wrong usage; exit code 2."""
    sys.stderr.write(f"pillion run: {message}\n{USAGE.splitlines()[0]}\n")
    return 2


def environment(environ: dict[str, str], service: str | None) -> dict[str, str]:
    """What the command gets: its own environment, boot/ first on PYTHONPATH, the service's name if one was given."""
    given = environ.get("PYTHONPATH")  # an empty entry between others is the current folder
    entries = [entry for entry in given.split(os.pathsep) if entry != BOOT] if given else []
    changed = dict(environ, PYTHONPATH=os.pathsep.join([BOOT, *entries]))
    if service:
        changed["OTEL_SERVICE_NAME"] = service
    return changed


def _hint(environ: dict[str, str]) -> None:
    """On a terminal: one line if nobody takes the spans."""
    from pillion import config, rundir

    settings, problems = config.read(environ)
    for problem in problems:
        sys.stderr.write(f"pillion run: {problem}\n")
    if settings.target or not sys.stderr.isatty():
        return
    path = os.path.join(rundir.choose(settings.run_dir), rundir.SOCKET)
    if not os.path.exists(path):
        sys.stderr.write(
            f"pillion run: no collector at {path}: start one with `pillion up` (the command runs all the same)\n"
        )


def main(args: Sequence[str]) -> int:
    """Becomes the command. Returns only if it can't: 2 wrong usage, 126 not executable, 127 not found."""
    service, rest = None, list(args)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        name, equals, value = option.partition("=")
        if name in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return 0
        if name != "--service":
            return wrong(f"unknown option {option}")
        if not equals and not rest:
            return wrong("--service needs a name")
        service = value if equals else rest.pop(0)
        if not service.strip():
            return wrong("--service needs a name that is not empty")
    if not rest:
        return wrong("no command given")
    changed = environment(dict(os.environ), service)
    _hint(changed)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(rest[0], rest, changed)
    except OSError as error:
        sys.stderr.write(f"pillion run: {rest[0]}: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126
