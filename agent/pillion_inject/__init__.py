# SPDX-License-Identifier: Apache-2.0
"""pillion_inject: what prepares a node, a container or an image: `pillion install` and `pillion canary`.

Needs the standard library alone, and is written for the Pythons that pillion itself is: a bundle carries this package
too, as one zip file, so that any of them installs the bundle it lies in (`python3 BUNDLE/pillion_inject install`), and
the canary runs in an application's own image. Never runs inside an application.
"""

from __future__ import annotations

import os

OK, FAILED, USAGE, BUNDLE, DENIED, FULL, CONFLICT, VERSION, UNFIT = range(9)

# Exit codes, for whoever reads an init container's status: as the usage text lists them.
CODES = {
    FAILED: "trouble of another kind",
    USAGE: "wrong usage",
    BUNDLE: "the bundle is missing, torn, or not what its manifest says",
    DENIED: "the target can't be written",
    FULL: "the target has no space left",
    CONFLICT: "the target holds something else",
    VERSION: "no such version, or one that is in use",
    UNFIT: "the canary found an interpreter unfit; the version lies there, and current is as it was",
}


class Trouble(Exception):
    """What a user can put right: one line that names the setting, what is wrong, and the remedy; and the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def home() -> str:
    """The folder that holds this package: site-packages, or the bundle whose zip file it lies in."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return folder if os.path.isdir(folder) else os.path.dirname(folder)
