# SPDX-License-Identifier: Apache-2.0
"""The run directory: found by one rule on both sides, private, and whatever stands in its way is no danger."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pillion import rundir


def test_the_configured_folder_wins_and_is_made_private(tmp_path: Path) -> None:
    path = rundir.choose(str(tmp_path / "run"))
    rundir.make(path)
    rundir.make(path)
    for folder in (path, f"{path}/rings", f"{path}/processes", f"{path}/guard"):
        assert os.stat(folder).st_mode & 0o777 == 0o700


def test_a_tmpfs_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rundir, "candidates", lambda: [str(tmp_path / "disk"), "/dev/shm/pillion-x", "/tmp/other"])
    assert rundir.on_tmpfs("/dev/shm/pillion-x") and not rundir.on_tmpfs("/proc/self")
    assert rundir.choose(None) == "/dev/shm/pillion-x" or rundir.on_tmpfs(str(tmp_path))


def test_a_link_or_a_file_in_its_place_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").write_text("")
    good = str(tmp_path / "good")
    monkeypatch.setattr(rundir, "candidates", lambda: [str(tmp_path / "link"), str(tmp_path / "file"), good])
    assert rundir.choose(None) == good


def test_a_record_is_json_whatever_the_texts_are(tmp_path: Path) -> None:
    rundir.make(str(tmp_path))
    odd = {"text": 'a"b\\c\n\x00é😀\ud800', "list": ["x", 1, True], "number": 2**70, "flag": False}
    path = rundir.record(str(tmp_path), dict(odd))
    read = json.loads(Path(path).read_text())
    odd["text"] = 'a"b\\c\n\x00é😀\ufffd'  # half of a pair: strict readers would refuse all of it
    assert {key: read[key] for key in odd} == odd
    assert Path(path).stem == rundir.name(os.getpid(), rundir.start_ticks(), rundir.pid_namespace())
    assert (read["pid"], read["pid_ns"], read["uid"]) == (os.getpid(), rundir.pid_namespace(), os.getuid())
    assert os.stat(path).st_mode & 0o777 == 0o600
