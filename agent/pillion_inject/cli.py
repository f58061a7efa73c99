# SPDX-License-Identifier: Apache-2.0
"""cli: the two commands of this package."""

from __future__ import annotations

import sys
from typing import Sequence

from pillion_inject import USAGE

COMMANDS = {
    "install": "put a bundle into a folder, make a version current, list and remove versions",
    "canary": "run an interpreter with the module and without, and compare, before anything goes live",
}


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
