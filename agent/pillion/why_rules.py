# SPDX-License-Identifier: Apache-2.0
"""why_rules: the rules as `pillion why` asks them: what in their files isn't understood, and what they say of a process
that pillion never came to. Without the native module, as in a container of another Python, there is no answer.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOBODY = (1 << 32) - 1


def problems(roots: Iterable[str]) -> list[str]:
    """Lines and files that count for nothing, of these installations of pillion."""
    named = os.environ.get("PILLION_RULES")
    environ = [f"PILLION_RULES={named}"] if named else []
    found: list[str] = []
    for root in sorted(set(roots)):
        if os.path.isdir(root):
            found += [note for note in _ask("", [], environ, NOBODY, root)[3].splitlines() if note not in found]
    return found


def would_deny(exe: str, argv: list[bytes], environ: list[bytes], uid: int) -> str:
    """The line that would keep pillion out of a process, or an empty text."""
    deny, code, reason, _ = _ask(exe, argv, environ, uid, HERE)
    return f"if pillion came to it, it would be left alone: {code}, {reason}" if deny else ""


def _ask(
    exe: str, argv: list[bytes], environ: list[bytes] | list[str], uid: int, root: str
) -> tuple[bool, str, str, str]:
    try:
        from pillion import _native

        variables = [os.fsencode(variable) for variable in environ]
        return _native.rules(os.fsencode(exe), argv, variables, uid & NOBODY, os.fsencode(root))
    except (ImportError, ValueError):
        return False, "", "", ""
