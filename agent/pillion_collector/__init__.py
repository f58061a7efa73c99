# SPDX-License-Identifier: Apache-2.0
"""The node's collector: receives OTLP, keeps it, reads the node's processes, answers the terminal and the browser."""

from __future__ import annotations

VERSION = "0.1.0"


class Trouble(Exception):
    """What the user is told in one line: the setting, what is wrong with it, what to do. `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
