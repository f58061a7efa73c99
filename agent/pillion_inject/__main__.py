# SPDX-License-Identifier: Apache-2.0
"""`python -m pillion_inject install …`, and `python3 BUNDLE/pillion_inject install …` where nothing is installed."""

from __future__ import annotations

import os
import sys

if not __package__:  # run as a folder: its parent holds the packages
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.dont_write_bytecode = True  # a bundle holds what its manifest lists

from pillion_inject import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
