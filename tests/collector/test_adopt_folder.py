# SPDX-License-Identifier: Apache-2.0
"""What may lie in the folder of rings: foreign, torn and hostile files hurt nobody and don't stay."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from pillion_collector import adopt, neighbours, rings
from pillion_collector.adopt import Adopter
from pillion_collector.adopt_folder import ASIDE, RingFolder
from pillion_collector.processes_find import Found
from pillion_collector.processes_known import Process
from pillion_collector.store import Batch, Kind, Outcome, Store, StoreBusy, StoreError

from tests.collector.conftest import Running, Start, eventually
from tests.collector.doomed import FINISHED, MANY, PROGRAM, Doom, adopted, doom, end
from tests.collector.doomed import rings as rings_of

__all__ = ["doom"]
WAIT_S = 60


def left(start: Start, doom: Doom, tmp_path: Path, *arguments: str, code: str = PROGRAM) -> Path:
    """A real ring of a process that is gone; in a folder of its own."""
    collector = start()
    collector.stop()
    end(doom(collector, *arguments, code=code), "SIGKILL")
    (name,) = rings_of(collector)
    folder = tmp_path / "run" / "rings"
    folder.mkdir(parents=True)
    shutil.copy(collector.run_dir / "rings" / name, folder / name)
    return folder / name


@pytest.fixture
def ring(start: Start, doom: Doom, tmp_path: Path) -> Path:
    return left(start, doom, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def adopter_of(folder: Path, store: Store) -> Adopter:
    return Adopter(folder.parent, store, lambda name: None, lambda: None)


def rounds(adopter: Adopter, folder: Path) -> None:
    """Until nothing that is called a ring is left."""
    assert eventually(lambda: adopter.round() is not None and not list(folder.glob("[0-9]*.ring")))
    adopter.stop()


HOSTILE = ("empty", "text", "fifo", "symbolic link", "folder", "cut off", "other layout", "another's name", "noise")


def hurt(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "another's name":
        path.rename(path.with_name("4194000-1.ring"))
        return
    path.unlink()
    if how == "fifo":
        os.mkfifo(path)
    elif how == "symbolic link":
        path.symlink_to("/etc/hostname")
    elif how == "folder":
        path.mkdir()
        (path / "file").write_text("x")
    elif how == "other layout":
        data[8:12] = (99).to_bytes(4, "little")
        path.write_bytes(data)
    else:
        cut = {"empty": b"", "text": b"hello\n" * 1000, "cut off": bytes(data[:100_000]), "noise": os.urandom(1 << 20)}
        path.write_bytes(cut[how])


@pytest.mark.parametrize("how", HOSTILE)
def test_what_is_no_ring_is_counted_put_aside_and_removed_when_it_is_old(
    ring: Path, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ring.parent
    hurt(ring, how)
    adopter = adopter_of(folder, store)
    rounds(adopter, folder)
    assert adopter.counts["aside"] == 1 and adopter.counts["adopted"] == 0
    (aside,) = folder.iterdir()
    assert aside.name.startswith(".") and aside.name.endswith(".bad")
    again = adopter_of(folder, store)
    again.round()
    again.stop()
    assert list(folder.iterdir()) == [aside]  # somebody may want to look at it
    os.utime(aside, (2e9, 2e9), follow_symlinks=False)  # what its user can set tells nothing
    monkeypatch.setattr("pillion_collector.adopt_folder.KEEP_S", -1.0)
    third = adopter_of(folder, store)
    third.round()
    assert list(folder.iterdir()) == [] or how == "folder"  # that one is not ours to empty
    third.stop()
    assert store.query("SELECT count(*) FROM spans") == [(0,)]


def test_a_ring_that_is_damaged_inside_gives_what_can_be_read_and_is_removed(ring: Path, store: Store) -> None:
    data = bytearray(ring.read_bytes())
    for at in range(200_000, len(data), 4096):
        data[at : at + 64] = os.urandom(64)
    ring.write_bytes(data)
    adopter = adopter_of(ring.parent, store)
    rounds(adopter, ring.parent)
    (found,) = store.query("SELECT recorded, stored FROM ends") or [(FINISHED, 0)]
    assert found[0] == FINISHED and found[1] <= FINISHED
    assert store.query("SELECT count(*) FROM spans WHERE status <> 2")[0][0] == found[1]


def test_hostile_counters_do_not_keep_a_ring_from_being_adopted(ring: Path, store: Store) -> None:
    counters = ring.read_bytes().index(FINISHED.to_bytes(8, "little"))
    with ring.open("r+b") as file:
        file.seek(counters)
        file.write(b"\xff" * 8 * 8)
    adopter = adopter_of(ring.parent, store)
    rounds(adopter, ring.parent)
    assert adopter.counts["adopted"] == 1
    assert store.query("SELECT stored FROM ends") == [(FINISHED,)]


def test_the_leftover_of_a_process_that_was_killed_while_it_made_its_ring_is_removed_when_old_and_unlocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    old, held = (tmp_path / f".{number}-1.0.tmp" for number in (1, 2))
    for path in (old, held):
        path.write_bytes(bytes(1000))
        os.utime(path, (0, 0))
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert RingFolder(tmp_path, lambda name: None, counts).dead(1000.0) == ([], 5.0)
        assert sorted(tmp_path.iterdir()) == [old, held]
        monkeypatch.setattr("pillion_collector.adopt_folder.KEEP_S", -1.0)
        assert RingFolder(tmp_path, lambda name: None, counts).dead(1000.0) == ([], 5.0)
        assert sorted(tmp_path.iterdir()) == [held]
    assert counts["removed"] == 1


def test_how_a_watched_process_ended_is_waited_for_though_the_reader_of_processes_is_late(ring: Path) -> None:
    who = neighbours.who(ring.name, neighbours.RING)
    assert who is not None
    process = Process(Found(who), here=who.pid, alive=True, pidfd=99)
    folder = RingFolder(ring.parent, lambda name: process, Counter())
    assert [folder.dead(now)[0] for now in (1000.0, 1002.0, 1009.0)] == [[], [], []]
    process.exit, process.alive = {"signal": 11}, False
    ((one,), _) = folder.dead(1009.5)
    assert (one.exit, one.pid, one.process) == ({"signal": 11}, who.pid, str(who))
    process.alive, process.pidfd = True, -1  # nobody will tell
    ((one,), _) = folder.dead(1010.0)
    assert one.exit == {"unknown": True}


def test_two_collectors_do_not_adopt_from_one_folder(tmp_path: Path) -> None:
    first, second = (RingFolder(tmp_path, lambda name: None, Counter()) for _ in range(2))
    assert first.hold() and first.hold() and not second.hold()
    first.close()
    assert second.hold()
    second.close()


def test_the_second_collector_of_a_run_directory_takes_over_when_the_first_ends(
    start: Start, doom: Doom, tmp_path: Path
) -> None:
    first = start()
    second = start("--socket", str(tmp_path / "s"), data=tmp_path / "other")
    end(doom(first), "SIGKILL")
    assert adopted(first)["stored"] == FINISHED
    first.stop()
    end(doom(second), "SIGKILL")
    assert adopted(second)["stored"] == FINISHED
    assert second.get("/api/stats")["total"]["stored"] == FINISHED


def test_a_full_disk_leaves_the_ring_where_it_is_until_there_is_room(
    ring: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopter = adopter_of(ring.parent, store)
    folder = store._folder
    monkeypatch.setattr(folder, "free_bytes", lambda: 0)
    assert eventually(lambda: adopter.round() == adopt._AGAIN_S[0])
    for _ in range(5):
        assert adopter.round() <= adopt._AGAIN_S[1]
    assert ring.exists() and adopter.counts["store"] >= 5 and adopter.counts["aside"] == 0
    monkeypatch.undo()
    rounds(adopter, ring.parent)
    assert store.query("SELECT recorded, stored FROM ends") == [(FINISHED, FINISHED)]


@pytest.mark.parametrize("refused", [1, 2, 3])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_store_that_refuses_one_batch_gets_it_and_what_came_behind_it_again(
    start: Start, doom: Doom, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, refused: int, at_once: bool
) -> None:
    ring = left(start, doom, tmp_path, "40000", code=MANY)
    number = len(rings.read(ring).batches)
    append, calls = store.append, [0]

    def once(kind: Kind, body: bytes, batch: Batch | None = None) -> Future[Outcome]:
        calls[0] += 1
        if calls[0] == refused and at_once:
            raise StoreBusy("too much waits")
        if calls[0] == refused:
            future: Future[Outcome] = Future()
            future.set_exception(StoreError("io", "a moment of weakness"))
            return future
        return append(kind, body, batch)

    monkeypatch.setattr(store, "append", once)
    rounds(adopter_of(ring.parent, store), ring.parent)
    assert number >= 3 and calls[0] == (refused if at_once else number) + (number - refused + 1)
    ((recorded, stored),) = store.query("SELECT recorded, stored FROM ends")
    assert recorded == 40000 and [(stored, stored)] == store.query(
        "SELECT count(*), count(DISTINCT span_id) FROM spans"
    )
    assert stored == recorded - sum(json.loads(store.query("SELECT dropped FROM ends")[0][0]).values())


def test_the_collector_survives_a_folder_full_of_rubbish(collector: Running, doom: Doom) -> None:
    folder = collector.run_dir / "rings"
    for number in range(200):
        (folder / f"{number + 1}-{number}.ring").write_bytes(os.urandom(300) * (number % 3))
    end(doom(collector), "SIGKILL")
    assert adopted(collector)["stored"] == FINISHED
    assert 'pillion_adopter_troubles_total{reason="aside"} 200' in collector.fetch("/metrics")[1].decode()
    assert len([name for name in os.listdir(folder) if name.endswith(".bad")]) == ASIDE
    code, err = collector.stop()
    assert code == 0 and err.count("put aside") == 1


def test_a_ring_that_cannot_be_opened_for_want_of_descriptors_is_not_given_up(
    ring: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = rings.read, [0]

    def starved(path: Path, begin: int | None = None) -> rings.Ring:
        calls[0] += 1
        if calls[0] <= 2:
            raise rings.RingError("too many open files", lasting=False)
        return read(path, begin)

    monkeypatch.setattr(rings, "read", starved)
    adopter = adopter_of(ring.parent, store)
    rounds(adopter, ring.parent)
    assert calls[0] == 3 and adopter.counts["aside"] == 0
    assert store.query("SELECT recorded, stored FROM ends") == [(FINISHED, FINISHED)]
