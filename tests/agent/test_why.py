# SPDX-License-Identifier: Apache-2.0
"""`pillion why`: the decision for each process, from the records that boot wrote; foreign files do no harm."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from pillion import why_records, why_scan

from tests.support.traced import AGENT, Result, Traced, clean_environ


def why(traced: Traced, *args: str) -> Result:
    own = clean_environ(PILLION_RUN_DIR=str(traced.run_dir), PYTHONPATH=str(AGENT))
    done = subprocess.run([sys.executable, "-m", "pillion", "why", *args], env=own, capture_output=True, text=True)
    return Result(done.returncode, done.stdout, done.stderr)


def test_it_tells_what_was_decided_and_why(traced: Traced) -> None:
    traced.run("pass", OTEL_SERVICE_NAME="good")
    traced.run("pass", OTEL_SDK_DISABLED="true", OTEL_BSP_SCHEDULE_DELAY="soon")
    result = why(traced)
    assert result.code == 0 and result.err == ""
    assert "good" in result.out and "ended    traced" in result.out
    assert "reason: OTEL_SDK_DISABLED=true" in result.out and "note: OTEL_BSP_SCHEDULE_DELAY='soon'" in result.out
    records = json.loads(why(traced, "--json").out)
    assert [record["decision"] for record in records] == ["injected", "not"]
    assert json.loads(why(traced, str(records[0]["pid"]), "--json").out) == records[:1]


def test_torn_and_foreign_records_are_passed_over(traced: Traced) -> None:
    traced.run("pass")
    folder = traced.run_dir / "processes"
    for name, content in {"1-1.json": b"{", "2-2.json": b"[]", "3-3.json": b'{"pid": "x"}', "4-4.json": b"\xff\xfe",
                          "5-5.json": b'{"pid": 5, "notes": null}'}.items():  # fmt: skip
        (folder / name).write_bytes(content)
    result = why(traced)
    assert result.code == 0 and len(result.out.splitlines()) == 2, result.err


def test_an_unknown_process_and_wrong_usage_are_told(traced: Traced) -> None:
    assert why(traced).code == 1 and "PILLION_RUN_DIR" in why(traced).err
    traced.run("pass")
    assert why(traced, "1").code == 1 and "no record" in why(traced, "1").err
    assert why(traced, "abc").code == 2 and why(traced, "1", "2").code == 2


def test_what_is_not_understood_in_the_rules_is_told_with_the_processes(traced: Traced) -> None:
    traced.run("pass")
    own = traced.folder / "rules.conf"
    own.write_text("deny arg=x\nnonsense\n")
    environ = clean_environ(PILLION_RUN_DIR=str(traced.run_dir), PYTHONPATH=str(AGENT), PILLION_RULES=str(own))
    command = [sys.executable, "-m", "pillion", "why"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"   rules  {own}:2: nonsense (not understood)"


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: path.write_bytes(b'{"pid":5,"start_tic'),
    "binary": lambda path: path.write_bytes(os.urandom(4000)),
    "NULs": lambda path: path.write_bytes(bytes(4000)),
    "a list": lambda path: path.write_bytes(b"[1, 2]"),
    "deep": lambda path: path.write_bytes(b"[" * 60_000),
    "huge": lambda path: path.write_bytes(b'{"pid": 5, "reason": "' + b"x" * 10_000_000 + b'"}'),
    "a pid that is none": lambda path: path.write_bytes(b'{"pid": -5}'),
    "a pid beyond all": lambda path: path.write_bytes(b'{"pid": 1e400}'),
    "true": lambda path: path.write_bytes(b'{"pid": true}'),
    "a pipe": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
    "a loop": lambda path: path.symlink_to(path.name),
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_record_is_passed_over(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "processes"
    folder.mkdir()
    HOSTILE[kind](folder / "5-5.json")
    assert why_records.records(str(tmp_path)) == []


def test_fields_of_the_wrong_kind_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "processes"
    folder.mkdir()
    odd = {"pid": 5, "start_ticks": "6", "code": ["X"], "reason": None, "notes": [1, "a"], "uid": -1, "more": "x"}
    (folder / "5-6.json").write_text(json.dumps(odd))
    (record,) = why_records.records(str(tmp_path))
    assert record == {"pid": 5, "notes": ["a"], "owner": os.getuid()}
    assert why_scan.ended(record)["code"] == "START_FAILED"


def test_a_path_that_is_no_text_makes_a_record_that_all_can_read(traced: Traced) -> None:
    odd = os.path.join(os.fsencode(traced.folder), b"py\xff\xed\xa0\x80thon")
    os.symlink(sys.executable, odd)
    environ = {**traced.environ(), "LD_PRELOAD": str(AGENT / "pillion" / "libpillion.so")}
    for switch in ([], ["-S"]):
        subprocess.run([odd, *switch, "-c", "pass"], env=environ, check=True)
    paths = sorted((traced.run_dir / "processes").glob("*.json"))
    assert len(paths) == 2 and all(orjson.loads(path.read_bytes())["pid"] for path in paths)
