# SPDX-License-Identifier: Apache-2.0
"""More than one way to be started at once: `pillion run` under the preload, two libraries, an inherited PYTHONPATH."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.preloaded import LIBRARY, Preloaded
from tests.support.traced import AGENT, BOOT

TELL = "import os, sys; print(sys.path, os.environ.get('PYTHONPATH'), sys.builtin_module_names)"


def copy(folder: Path) -> Path:
    """Another version of the bundle; its library."""
    shutil.copytree(AGENT / "pillion", folder / "pillion", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "pillion" / LIBRARY.name


def test_pillion_run_under_the_preload_starts_it_once(preloaded: Preloaded) -> None:
    (preloaded.folder / "sitecustomize.py").write_text("print('own')")
    path = f"{BOOT}:{preloaded.folder}"
    both, run = (
        preloaded.command(sys.executable, "-c", TELL, PYTHONPATH=path, **more) for more in ({}, {"LD_PRELOAD": ""})
    )
    assert both == run and both.out.startswith("own\n")
    assert sorted(record["via"] for record in preloaded.records()) == ["path", "preload"]
    assert {record["decision"] for record in preloaded.records()} == {"injected"} and preloaded.log() == ""


def test_of_two_libraries_the_first_one_starts(preloaded: Preloaded) -> None:
    other = copy(preloaded.folder / "other")
    (preloaded.folder / "sitecustomize.py").write_text("print('own')")
    for order in (f"{LIBRARY}:{other}", f"{other}:{LIBRARY}"):
        result = preloaded.same(sys.executable, "-c", TELL, LD_PRELOAD=order, PYTHONPATH=str(preloaded.folder))
        assert result.out.startswith("own\n")
    assert [record["decision"] for record in preloaded.records()] == ["injected"] * 2 and preloaded.log() == ""


def test_a_name_in_both_variables_is_mapped_once(preloaded: Preloaded) -> None:
    preloaded.same(sys.executable, "-c", TELL, LD_PRELOAD=f"{LIBRARY}:{LIBRARY.parent}/./{LIBRARY.name}")
    assert preloaded.record()["decision"] == "injected"


def test_switched_off_it_starts_by_no_road(preloaded: Preloaded) -> None:
    tell = "import sys; print('pillion' in sys.modules)"
    assert preloaded.same(sys.executable, "-c", tell, PILLION_ENABLED="0").out == "False\n"
    record = preloaded.record()
    assert (record["decision"], record["code"], record["reason"]) == ("not", "DISABLED", "PILLION_ENABLED=0")


@pytest.mark.parametrize("value", ["false", "FALSE", " no ", "off", "0"])
def test_the_words_that_switch_it_off_are_the_ones_of_the_settings(preloaded: Preloaded, value: str) -> None:
    tell = "import sys; print('pillion' in sys.modules)"
    assert preloaded.same(sys.executable, "-c", tell, PILLION_ENABLED=value).out == "False\n"
    assert preloaded.record()["code"] == "DISABLED"


@pytest.mark.parametrize("value", ["true", "1", "", " ", "falsely", "nothing", "00"])
def test_other_words_do_not(preloaded: Preloaded, value: str) -> None:
    preloaded.command(sys.executable, "-c", "pass", PILLION_ENABLED=value)
    assert preloaded.record()["decision"] == "injected"


@pytest.mark.parametrize(
    ("spelled", "left"),
    [("/.", None), ("/./", ""), ("/.:/a:/b", "/a:/b"), ("/.::", ":"), ("/.:::/a", "::/a")],
    ids=["unset", "empty", "two", "colon", "colons"],
)
def test_boot_puts_pythonpath_back_as_the_library_spelled_it(
    preloaded: Preloaded, spelled: str, left: str | None
) -> None:
    code = "import os, sys; print(repr(os.environ.get('PYTHONPATH')), sys.path)"
    ours = preloaded.command(sys.executable, "-c", code, LD_PRELOAD="", PYTHONPATH=f"{BOOT}{spelled}")
    bare = preloaded.alone(sys.executable, "-c", code, **({} if left is None else {"PYTHONPATH": left}))
    assert ours.out == bare.out
    assert preloaded.record()["via"] == "preload"
