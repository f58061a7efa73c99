# SPDX-License-Identifier: Apache-2.0
"""The table of codes: C, Python, the default rules and docs/reasons.md know the same ones."""

from __future__ import annotations

import re
from pathlib import Path

from pillion import reasons

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "agent" / "pillion"


def test_the_document_is_the_table() -> None:
    assert (ROOT / "docs" / "reasons.md").read_text() == reasons.document(), (
        "python -m pillion.reasons > docs/reasons.md"
    )


WRITTEN = (  # how each of the writers says a code
    ("native/*.c", r'say\(&?\w+, "([A-Z_]+)"'),
    ("native/probation.c", r'bare_add\(&text, "([A-Z_]+)"\)'),
    ("native/rules_line.c", r'own : "([A-Z_]+)"'),
    ("agent/pillion/start.py", r'(?:return|code =|_decided\() ?"([A-Z_]+)"'),
    ("agent/pillion/start.py", r'else "([A-Z_]+)"'),
    ("agent/pillion/start.py", r'code or "([A-Z_]+)"'),
    ("agent/pillion/why_scan.py", r'return \(?"([A-Z_]+)"'),
    ("agent/pillion/rules.conf", r"(?m)^deny code=([A-Z_]+) "),
)


def test_the_codes_that_are_written_are_those_of_the_table() -> None:
    found = [
        set(re.findall(pattern, "".join(path.read_text() for path in ROOT.glob(files)))) for files, pattern in WRITTEN
    ]
    assert all(found), found
    assert set().union(*found) == set(reasons.REASONS)


def test_a_code_of_the_operators_own_is_explained_too() -> None:
    assert "NIGHTLY" in reasons.explain("NIGHTLY").means
