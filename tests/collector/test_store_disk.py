# SPDX-License-Identifier: Apache-2.0
"""Trouble with the disk: nothing that was acknowledged is lost, the rest is refused clearly, and the store recovers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from pillion_collector.store import Store, StoreError

from tests.collector.store_bodies import spans

WAIT_S = 60
MIB = 1 << 20
BODY = spans(400, text_bytes=1000)


def rows(store: Store) -> int:
    return int(store.query("SELECT count(*) FROM spans")[0][0])


def until_refused(store: Store) -> tuple[int, StoreError]:
    """Fills the disk; how many spans were acknowledged, and the first refusal."""
    stored = 0
    for _ in range(2000):
        try:
            stored += store.append("traces", BODY).result(WAIT_S).accepted
        except StoreError as error:
            return stored, error
    raise AssertionError("the disk never filled")


def until_taken(store: Store) -> None:
    """Space is there again: the store finds out by itself."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            store.append("traces", BODY).result(WAIT_S)
            return
        except StoreError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(path)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs (root)")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.parametrize("reserve", [0, 4 * MIB], ids=["DuckDB itself hits the end", "the reserve is kept"])
def test_a_full_disk_loses_nothing_answers_queries_and_recovers(small_disk: Path, reserve: int) -> None:
    store = Store(small_disk / "data", reserve_bytes=reserve, linger_s=0)
    stored, error = until_refused(store)
    assert error.kind == "disk_full" and str(small_disk) in str(error)
    for _ in range(100):
        if store.stats()["trouble"]:
            break
        stored += until_refused(store)[0]  # upkeep made a little room meanwhile: fill that too
    assert store.stats()["trouble"]
    assert rows(store) == stored > 0
    stored += until_refused(store)[0]
    assert rows(store) == stored
    subprocess.run(["mount", "-o", "remount,size=200M", str(small_disk)], check=True)
    until_taken(store)
    assert store.stats()["trouble"] is None
    store.close()
    again = Store(small_disk / "data")
    assert rows(again) == stored + 400
    again.close()


def test_a_restart_on_a_full_disk_still_answers_queries(small_disk: Path) -> None:
    store = Store(small_disk / "data", reserve_bytes=2 * MIB, linger_s=0)
    stored, _ = until_refused(store)
    store.close()
    with (small_disk / "filler").open("wb") as filler:
        try:
            while filler.write(bytes(1 << 16)):
                filler.flush()
        except OSError:
            pass
    again = Store(small_disk / "data")
    assert rows(again) == stored
    with pytest.raises(StoreError) as error:
        again.append("traces", BODY).result(WAIT_S)
    assert error.value.kind == "disk_full"
    (small_disk / "filler").unlink()
    assert rows(again) == stored
    again.close()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from pillion_collector.store import Store, StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(sys.argv[1], linger_s=0)
body = Path(sys.argv[2]).read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, resource.RLIM_INFINITY))
stored = 0
try:
    for _ in range(200):
        stored += store.append("traces", body).result(60).accepted
except StoreError as error:
    print(error.kind, file=sys.stderr)
assert store.query("SELECT count(*) FROM spans") == [(stored,)], "a query during the trouble"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
stored += store.append("traces", body).result(60).accepted
store.close()
print(stored)
"""


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_writes_that_fail_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The same without the right to mount: no file may grow past a limit."""
    (tmp_path / "body").write_bytes(BODY)
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "data"), str(tmp_path / "body")]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=100)
    assert ended.returncode == 0, ended.stderr
    store = Store(tmp_path / "data")
    assert rows(store) == int(ended.stdout) > 400
    store.close()


KILLED = """
import sys
from pathlib import Path
from pillion_collector.store import Store
store = Store(sys.argv[1], linger_s=0, retention_bytes=64 << 20)
body, total = Path(sys.argv[2]).read_bytes(), 0
while True:
    total += store.append("traces", body).result(60).accepted
    print(total, flush=True)
"""


@pytest.mark.parametrize("after", [1, 10, 30, 45, 60])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, after: int) -> None:
    (tmp_path / "body").write_bytes(BODY)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(tmp_path / "body")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout
        for _ in range(after):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    acknowledged = max([400 * after, *(int(line) for line in rest if int(line) % 400 == 0)])
    store = Store(tmp_path / "data", retention_bytes=64 * MIB)
    assert rows(store) in (acknowledged, acknowledged + 400)  # the last one was on its way
    assert not store.stats()["aside"]
    store.append("traces", BODY).result(WAIT_S)
    store.close()


def kept(data: Path, partitions: int = 1) -> list[Path]:
    """A closed store with some partitions."""
    store = Store(data, retention_bytes=32 * MIB * partitions, linger_s=0)
    while len(list(data.glob("*.duckdb"))) < partitions:
        store.append("traces", BODY).result(WAIT_S)
    store.append("traces", BODY).result(WAIT_S)
    store.close()
    return sorted(data.glob("*.duckdb"))


@pytest.mark.parametrize("damage", ["header", "truncated", "empty", "garbage"])
def test_a_damaged_partition_is_put_aside_and_the_rest_goes_on(tmp_path: Path, damage: str) -> None:
    first, *others = kept(tmp_path, 3)
    data = first.read_bytes()
    first.write_bytes(
        {
            "header": bytes([data[0] ^ 255]) + data[1:],
            "truncated": data[: len(data) // 2],
            "empty": b"",
            "garbage": b"garbage" * 5000,
        }[damage]
    )
    store = Store(tmp_path)
    assert store.query("SELECT count(*), max(attributes['text']) FROM spans")[0][0] >= 400  # may be what finds it
    assert store.stats()["aside"] == [first.name]
    assert (tmp_path / "aside" / first.name).exists() and not first.exists()
    assert store.append("traces", BODY).result(WAIT_S).accepted == 400
    store.close()
    assert all(path.exists() for path in others)


def test_damage_inside_a_partition_costs_that_partition_when_a_query_finds_it(tmp_path: Path) -> None:
    first, *_ = kept(tmp_path, 3)
    data = bytearray(first.read_bytes())
    for at in range(12288 + 262144 // 2, len(data), 262144):  # in the middle of each block but the header
        data[at] ^= 255
    first.write_bytes(data)
    store = Store(tmp_path)
    assert store.query("SELECT count(*), max(attributes['text']) FROM spans")[0][0] >= 400
    assert store.stats()["aside"] == [first.name]
    assert store.append("traces", BODY).result(WAIT_S).accepted == 400
    store.close()


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_torn_log_loses_no_more_than_its_tail(tmp_path: Path, cut: int) -> None:
    (tmp_path / "body").write_bytes(BODY)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(tmp_path / "body")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout
        acknowledged = [int(process.stdout.readline()) for _ in range(5)][-1]
        process.kill()
    (log,) = (tmp_path / "data").glob("*.wal")
    os.truncate(log, log.stat().st_size - cut)
    store = Store(tmp_path / "data")
    assert rows(store) >= acknowledged - 400
    assert store.append("traces", BODY).result(WAIT_S).accepted == 400
    store.close()


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    (partition,) = kept(tmp_path)
    (tmp_path / "store.json").write_text(json.dumps({"version": 99}))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StoreError) as error:
        Store(tmp_path)
    assert error.value.kind == "newer" and "--data" in str(error.value) and "upgrade" in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert partition.exists()


def test_one_partition_of_a_newer_version_stops_the_start_too(tmp_path: Path) -> None:
    (partition,) = kept(tmp_path)
    with duckdb.connect(str(partition)) as connection:
        connection.execute("UPDATE meta SET version = 99")
    with pytest.raises(StoreError) as error:
        Store(tmp_path)
    assert error.value.kind == "newer" and partition.exists()


def test_a_second_collector_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    opened = f"from pillion_collector.store import Store; Store({str(tmp_path)!r})"
    second = subprocess.run([sys.executable, "-c", opened], capture_output=True, text=True, env=environment())
    assert second.returncode == 1 and "--data" in second.stderr and "another" in second.stderr
    with pytest.raises(StoreError) as error:
        Store(tmp_path)
    assert error.value.kind == "locked"
    store.append("traces", BODY).result(WAIT_S)
    store.close()


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error:
        Store(tmp_path / "file" / "data")
    assert error.value.kind == "setting" and "--data" in str(error.value)
