# SPDX-License-Identifier: Apache-2.0
"""Crashes as a user asks for them: the API with its parameters, the command line, /metrics and the live stream."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import orjson
import pytest

from tests.collector.conftest import MAIN, Running, eventually, running
from tests.collector.doomed import FINISHED, THREADS, adopted, crashes, dooming, end, rings


@pytest.fixture(scope="module")
def crashed() -> Iterator[tuple[Running, list[int]]]:
    """A collector that has seen a kill, an exit code, and an end in order; pids in this order."""
    quiet = {"OTEL_BSP_SCHEDULE_DELAY": "60000"}  # no batch is on its way when they end, and may come twice
    with running() as begin, dooming() as doom:
        collector, pids = begin(), []
        for how in ("SIGKILL", "os._exit(3)"):
            process = doom(collector, **quiet)
            pids.append(process.pid)
            end(process, how)
            assert eventually(lambda: not rings(collector))
        code = "import pillion\nwith pillion.span('x'):\n  print('worked', flush=True)\ninput()"
        fine = doom(collector, code=code, **quiet)
        pids.append(fine.pid)
        end(fine, "")
        assert eventually(lambda: not rings(collector))
        yield collector, pids


Crashed = tuple[Running, list[int]]


def test_crashes_come_newest_first_and_only_those_that_tell_something(crashed: Crashed) -> None:
    collector, (killed, failed, _) = crashed
    assert [(one["pid"], one["how"]) for one in crashes(collector)] == [
        (failed, "exited with code 3"),
        (killed, "was killed by SIGKILL"),
    ]
    assert not collector.get("/api/crashes")["truncated"]
    marked = {one["pid"] for one in collector.get("/api/processes")["processes"] if one["crash"]}
    assert marked == {killed, failed}


def test_crashes_are_found_by_service_time_and_number(crashed: Crashed) -> None:
    collector, (_, failed, _) = crashed
    assert len(collector.get("/api/crashes?service=doomed&from=-5m")["crashes"]) == 2
    assert collector.get("/api/crashes?service=other")["crashes"] == []
    assert collector.get("/api/crashes?from=-2h&to=-1h")["crashes"] == []
    answer = collector.get("/api/crashes?limit=1")
    assert [one["pid"] for one in answer["crashes"]] == [failed] and answer["truncated"]


@pytest.mark.parametrize(
    ("query", "parameter"), [("limit=0", "limit"), ("from=x", "from"), ("servce=a", "servce"), ("from=5&to=4", "from")]
)
def test_a_wrong_parameter_is_named(crashed: Crashed, query: str, parameter: str) -> None:
    status, body, _ = crashed[0].fetch(f"/api/crashes?{query}")
    assert status == 400 and orjson.loads(body)["parameter"] == parameter


def test_the_command_line_tells_crashes_and_the_sum_of_all_ledgers(crashed: Crashed) -> None:
    collector, (killed, failed, fine) = crashed

    def shown(*arguments: str) -> str:
        command = [sys.executable, "-c", MAIN, *arguments, "--url", collector.ui]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    text = shown("crashes")
    assert f"doomed {killed} was killed by SIGKILL" in text and f"doomed {failed} exited with code 3" in text
    assert text.count("  in     GET /last ") == 2 * THREADS and f"recorded {FINISHED}, stored {FINISHED}" in text
    assert "--limit" in shown("crashes", "--limit", "1") and "no crash" in shown("crashes", "--service", "other")
    (total,) = [line.split() for line in shown("stats").splitlines() if "all" in line.split()]
    assert total[2].replace(",", "") == total[3].replace(",", "") == str(2 * FINISHED + 1) and total[-1] == "yes"
    assert str(fine) in shown("stats")


def test_prometheus_counts_adopted_rings_crashes_and_duplicates(crashed: Crashed) -> None:
    text = crashed[0].fetch("/metrics")[1].decode()
    for line in (
        "pillion_adopter_rings_total 3",
        "pillion_adopter_crashes_total 2",
        "pillion_adopter_waiting_rings 0",
        "pillion_store_duplicate_batches_total 0",
        "pillion_receiver_malformed_batch_names_total 0",
    ):
        assert line in text.splitlines()


def test_a_crash_is_told_on_the_live_stream(collector: Running) -> None:
    with dooming() as doom, urllib.request.urlopen(f"{collector.ui}/api/live", timeout=60) as stream:
        process = doom(collector)
        end(process, "SIGKILL")
        for line in stream:
            if line.startswith(b"data: ") and orjson.loads(line[6:])["crashes"] == 1:
                break
        assert adopted(collector)["balanced"]
