# SPDX-License-Identifier: Apache-2.0
"""`pillion why`: the decision for each process, from the records that boot wrote; foreign files do no harm."""

from __future__ import annotations

import json
import subprocess
import sys

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
