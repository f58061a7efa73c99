# SPDX-License-Identifier: Apache-2.0
"""The README says what the code says: settings, libraries, flags, commands and files, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from pillion import config
from pillion.hooks import HOOKS
from pillion_collector import cli, settings

from tests.bench import table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found.group(1)


def rows(text: str) -> list[list[str]]:
    """The rows of Markdown tables, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_it_says_what_it_is_within_one_screen() -> None:
    head = README.partition("\n## ")[0]
    assert len(head.splitlines()) <= 24
    assert "make demo" in head
    assert "app call ─► hook ─► native span ─► ring" in head


def test_the_settings_are_those_of_the_module() -> None:
    own = [row for row in rows(section("Settings")) if row[0].startswith("`PILLION_")]
    assert own == [[f"`{name}`", default, meaning] for name, default, meaning in config.VARIABLES]


def test_the_flags_are_those_of_the_collector() -> None:
    flags = [row for row in rows(section("Settings")) if row[0].startswith("`--")]
    assert flags == [[f"`{each.flag}`", f"`{each.variable}`", each.help] for each in settings.OPTIONS]


def test_the_libraries_are_those_of_the_hook_table() -> None:
    assert [row[0] for row in rows(section("Libraries"))] == [f"`{hook.name}`" for hook in HOOKS]


def test_commands_it_names_exist() -> None:
    named = set(re.findall(r"`pillion ([a-z]+)", README)) | set(re.findall(r"^pillion ([a-z]+)", README, re.MULTILINE))
    assert named <= {"run", "why", "install", "canary", *cli.COMMANDS}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_files_it_links_to_exist() -> None:
    for link, source in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", README):
        assert (ROOT / (link or source)).exists()


def test_folders_of_the_map_exist() -> None:
    for name in re.findall(r"^(\S+/)", section("The folders"), re.MULTILINE):
        assert (ROOT / name).is_dir(), name


def test_the_figures_lie_between_their_markers() -> None:
    assert README.count(table.BEGIN) == README.count(table.END) == 1
    written = README.partition(table.BEGIN)[2].partition(table.END)[0].strip()
    if written:  # by `make bench`, and by nobody else
        assert written.startswith("| CPU, unless it says otherwise |")


def test_the_changelog_has_a_part_for_what_is_not_released() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
