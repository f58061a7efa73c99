# SPDX-License-Identifier: Apache-2.0
"""libpillion.so as a file: what lets one library be mapped into every program of a container."""

from __future__ import annotations

import subprocess

from tests.support.preloaded import LIBRARY


def readelf(*options: str) -> list[str]:
    done = subprocess.run(["readelf", "-W", *options, LIBRARY], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def symbols() -> list[list[str]]:
    """Value, size, type, binding, visibility, section and name of each dynamic symbol."""
    rows = [line.split()[1:] for line in readelf("--dyn-syms") if ":" in line and line.split()[0][:-1].isdigit()]
    return [row for row in rows if len(row) == 7]


def test_it_needs_no_library() -> None:
    dynamic = "\n".join(readelf("--dynamic"))
    assert "INIT_ARRAY" in dynamic
    assert not any(word in dynamic for word in ("NEEDED", "RPATH", "RUNPATH", "TEXTREL", "INTERP", "VERNEED"))


def test_every_symbol_that_it_lacks_is_weak_and_they_are_few() -> None:
    """Each of them is looked for in every library of every program."""
    lacking = [row for row in symbols() if row[5] == "UND"]
    assert {row[6] for row in lacking} == {"Py_GetVersion", "dlsym", "getauxval"}
    assert [row for row in lacking if row[3] != "WEAK"] == []


def test_it_shows_one_name_alone() -> None:
    """Whatever a library shows in front of all others replaces what programs have by that name."""
    assert [row[6] for row in symbols() if row[5] != "UND"] == ["__asan_default_options"]


def test_it_is_small_and_has_two_segments_and_no_thread_local_storage() -> None:
    segments = [line.split()[0] for line in readelf("--segments") if line.startswith("  ") and "0x" in line]
    assert segments.count("LOAD") == 2 and "TLS" not in segments and "GNU_RELRO" not in segments
    (stack,) = [line for line in readelf("--segments") if "GNU_STACK" in line]
    assert " RWE " not in stack
    assert LIBRARY.stat().st_size < 40_000


def test_it_takes_one_page_of_memory_that_is_written() -> None:
    (writable,) = [line.split() for line in readelf("--segments") if "LOAD" in line and " RW " in line]
    assert int(writable[5], 16) < 4096
