# SPDX-License-Identifier: Apache-2.0
"""`python -m pillion_inject install …`, and `python3 BUNDLE/pillion_inject install …` where nothing is installed."""

from __future__ import annotations

import sys

from pillion_inject import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
