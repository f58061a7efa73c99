# SPDX-License-Identifier: Apache-2.0
"""cli: the two commands of this package, and what their command lines share."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn, Sequence

from pillion_inject import USAGE, Trouble

COMMANDS = {
    "install": "put a bundle into a folder, make a version current, list and remove versions",
    "canary": "run an interpreter with the module and without, and compare, before anything goes live",
}


class Parser(argparse.ArgumentParser):
    """Wrong usage is one line, not a page."""

    def __init__(self, **more: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        raise Trouble(f"{message}; see `{self.prog} --help`", USAGE)


def main(args: Sequence[str]) -> int:
    """Runs one command; its exit code."""
    command = args[0] if args else ""
    if command == "install":
        from pillion_inject import install_cli

        return install_cli.main(args[1:])
    if command == "canary":
        from pillion_inject import canary_cli

        return canary_cli.main(args[1:])
    text = "usage: pillion_inject COMMAND …\n\n" + "".join(f"  {name:8}  {what}\n" for name, what in COMMANDS.items())
    asked = command in ("-h", "--help", "help")
    (sys.stdout if asked else sys.stderr).write(text)
    return 0 if asked else USAGE
