# SPDX-License-Identifier: Apache-2.0
"""A run directory for processes of all users: who may do what in it, and what hostile ones can't."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pillion import rundir
from pillion_collector import Trouble, neighbours, run_folder
from pillion_collector.neighbours import RECORD, RING, Troubles

from tests.collector.conftest import DEADLINE_S, Running, eventually, running
from tests.collector.doomed import Doom, crashes, doom, rings
from tests.support.users import as_root, user

__all__ = ["doom"]
OURS, ONE, OTHER = 64_101, 64_102, 64_103  # the collector's user, and two of applications
WORKER = "import pillion\nwith pillion.span('GET /', _kind='server'):\n    print('worked', flush=True); exec(input())"


def as_user(uid: int, code: str, *arguments: object) -> str:
    """What a program of that user prints."""
    command = [*user(uid), sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the collector's user, on tmpfs."""
    with tempfile.TemporaryDirectory(prefix="pln-", dir="/dev/shm") as made:
        os.chmod(made, 0o755)
        (Path(made) / "run").mkdir()
        (Path(made) / "data").mkdir()
        for name in ("run", "data"):
            os.chown(Path(made) / name, OURS, OURS)
        yield Path(made)


@pytest.fixture
def shared(home: Path) -> Iterator[Running]:
    with running() as begin:
        yield begin("--shared", data=home / "data", run_dir=home / "run", within=user(OURS))


def mode(path: Path) -> tuple[int, int, int]:
    about = path.lstat()
    return stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid


def test_the_folders_are_opened_as_far_as_that_and_kept_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_folder.make(run, shared=False)
    assert not rundir.is_shared(str(run)) and mode(run)[0] == 0o700
    for _ in range(2):
        run_folder.make(run, shared=True)
        assert mode(run)[0] == 0o755 and rundir.is_shared(str(run))
        for name in ("rings", "processes", "guard"):
            assert mode(run / name) == (0o3777, os.geteuid(), os.getegid())
    rundir.make(str(run))
    assert rundir.is_shared(str(run))


def test_a_folder_of_anybody_else_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Trouble, match="PILLION_RUN_DIR"):
        run_folder.make(tmp_path / "run", shared=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    if os.geteuid() == 0:
        theirs = tmp_path / "theirs"
        theirs.mkdir(mode=0o700)
        os.chown(theirs, ONE, ONE)
        with pytest.raises(Trouble, match=f"belongs to user {ONE}"):
            run_folder.make(theirs, shared=True)
        assert mode(theirs)[0] == 0o700
        with pytest.raises(PermissionError):
            rundir.make(str(theirs))  # a guest of root makes nothing there either


def test_a_guest_takes_a_shared_folder_only_where_nobody_could_have_planted_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, own = tmp_path / "run", tmp_path / "own"
    run_folder.make(run, shared=True)
    monkeypatch.setattr(os, "getuid", lambda: ONE)
    monkeypatch.setattr(rundir, "on_tmpfs", lambda path: True)
    monkeypatch.setattr(rundir, "candidates", lambda: [str(run), str(own)])
    assert rundir.choose(None) == str(run)
    monkeypatch.setattr(rundir, "candidates", lambda: [str(own), str(run)])
    assert rundir.choose(None) == str(own)
    run.chmod(0o777)
    monkeypatch.setattr(rundir, "candidates", lambda: [str(run), str(own)])
    assert rundir.choose(None) == str(own)


@as_root
def test_rings_of_three_users_are_adopted_and_removed_by_a_collector_that_is_not_root(
    shared: Running, doom: Doom
) -> None:
    assert mode(shared.run_dir / "pillion.sock")[0] == 0o666
    processes = {uid: doom(shared, code=WORKER, within=user(uid) if uid else ()) for uid in (0, ONE, OTHER)}
    for path in (*(shared.run_dir / "rings").iterdir(), *(shared.run_dir / "processes").iterdir()):
        assert mode(path) == (0o640, path.lstat().st_uid, OURS), path
    known = eventually(lambda: [one for one in shared.get("/api/processes")["processes"] if one["memory_bytes"]][2:])
    assert known
    for process in processes.values():
        process.kill()
        process.wait()
    assert eventually(lambda: not rings(shared)), rings(shared)
    found = crashes(shared)
    assert [one["exit"] for one in found] == [{"signal": 9}] * 3
    assert all([each["name"] for each in one["requests"]] == ["GET /"] and one["balanced"] for one in found)
    assert shared.stop()[0] == 0


@as_root
def test_what_proc_refuses_of_other_users_is_said_once_and_cpu_and_memory_go_on(shared: Running, doom: Doom) -> None:
    doom(shared, code=WORKER, within=user(ONE))
    (one,) = eventually(lambda: [one for one in shared.get("/api/processes")["processes"] if one["memory_bytes"]])
    assert one["threads"] == 1 and one["fds"] is None and one["denied"] == ["descriptors", "disk"]
    text = shared.fetch("/metrics")[1].decode()
    assert 'pillion_process_troubles_total{reason="denied:disk"} 1\n' in text
    _, said = shared.stop()
    assert said.count("disk may not be read") == 1


@as_root
def test_a_neighbour_can_neither_read_nor_lock_nor_replace_nor_remove_a_ring(shared: Running, doom: Doom) -> None:
    doom(shared, code=WORKER, within=user(ONE))
    (ring,) = (shared.run_dir / "rings").iterdir()
    (record,) = (shared.run_dir / "processes").iterdir()
    tries = """
import os, sys
for path in sys.argv[1:]:
    for attempt in (lambda: os.open(path, os.O_RDONLY), lambda: os.open(path, os.O_WRONLY), lambda: os.unlink(path),
                    lambda: os.rename(path, path + "x"), lambda: os.chmod(path, 0o666),
                    lambda: os.rename("/proc/self/exe", path), lambda: os.open(path + ".lock", os.O_RDWR | os.O_CREAT)):
        try:
            attempt()
        except OSError:
            continue
        print(path)
"""
    lock = shared.run_dir / "rings"
    assert as_user(OTHER, tries, ring, record, shared.run_dir / "pillion.sock") == f"{ring}\n{record}\n"
    for path in (ring, record):  # that was a file beside it, which is nobody's loss
        Path(f"{path}.lock").unlink()
    assert as_user(OTHER, "import sys; open(sys.argv[1], 'w')", f"{lock}/x") == ""
    with pytest.raises(subprocess.CalledProcessError):
        as_user(OTHER, "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)", f"{lock}.lock")


HOSTILE = """
import json, os, socket, sys
run, pid, ticks, uid = sys.argv[1], *map(int, sys.argv[2:5])
rings, records = run + "/rings", run + "/processes"
for at, folder in enumerate((rings, records)):
    end = ".ring" if folder == rings else ".json"
    os.symlink("/etc/passwd", f"{folder}/1-1{end}")
    os.mkfifo(f"{folder}/2-1{end}")
    os.mkdir(f"{folder}/3-1{end}")
    os.mkdir(f"{folder}/3-1{end}/full")
    with open(f"{folder}/4-1{end}", "wb") as file:
        file.truncate(1 << 40)
    with open(f"{folder}/5-1{end}", "wb") as file:
        file.truncate(16 << 20)
    socket.socket(socket.AF_UNIX).bind(f"{folder}/6-1{end}")
    os.link(f"{folder}/5-1{end}", f"{folder}/7-1{end}")
    with open(f"{folder}/8-1{end}", "wb") as file:
        file.write(os.urandom(200000))
    os.chmod(f"{folder}/8-1{end}", 0o600)
    for name in ("9" * 300, "\\n", "x" * 200 + end, "10-1-99999999999" + end):
        try:
            open(f"{folder}/{name}", "w").close()
        except OSError:
            pass
forged = {"pid": pid, "start_ticks": ticks, "pid_ns": 4026531836, "uid": uid, "service": "forged", "decision": "not"}
with open(f"{records}/{pid}-{ticks}-4026532999.json", "w") as file:
    json.dump(forged, file)
for attempt in (f"{records}/{pid}-{ticks}.json", f"{records}/{pid}-{ticks}.json.new"):
    try:
        with open(attempt, "w") as file:
            json.dump(forged, file)
    except OSError:
        pass
print("done")
"""


@as_root
def test_hostile_neighbours_are_bounded_ignored_and_counted(shared: Running, doom: Doom) -> None:
    process = doom(shared, code=WORKER, within=user(ONE))
    (name,) = os.listdir(shared.run_dir / "rings")
    pid, ticks = name.removesuffix(".ring").split("-")[:2]
    assert as_user(OTHER, HOSTILE, shared.run_dir, pid, ticks, ONE) == "done\n"
    os.sync()
    gone = [f"{number}-1.ring" for number in range(1, 9)]
    assert eventually(lambda: not set(gone) & set(os.listdir(shared.run_dir / "rings")))
    stats = shared.fetch("/metrics")[1].decode()
    assert 'pillion_process_troubles_total{reason="bad_record"}' in stats
    process.kill()
    process.wait()
    assert eventually(lambda: crashes(shared))
    known = shared.get("/api/processes")["processes"]
    assert {one["service"] for one in known if one["service"]} == {"doomed"}
    assert len(os.listdir(f"/proc/{shared.process.pid}/fd")) < 100
    code, said = shared.stop()
    assert code == 0 and "Traceback" not in said


@as_root
def test_a_file_that_says_it_is_another_users_process_is_not_believed(shared: Running, doom: Doom) -> None:
    doom(shared, code=WORKER, within=user(ONE))
    (ring,) = (shared.run_dir / "rings").iterdir()
    (record,) = (shared.run_dir / "processes").iterdir()
    assert eventually(lambda: shared.get("/api/processes")["processes"])
    record.unlink()  # as of a worker that was forked
    for path, bytes in (
        (record, b'{"service": "forged", "decision": "not", "instance": "forged"}'),
        (ring.with_name(ring.stem + ".1.ring"), ring.read_bytes()),
    ):
        draft = shared.run_dir / "draft"  # what is root's own at first would be believed
        draft.write_bytes(bytes)
        draft.chmod(0o640)
        os.chown(draft, OTHER, OURS)
        draft.rename(path)
    text = 'pillion_process_troubles_total{reason="forged"} 1'
    assert eventually(lambda: text in shared.fetch("/metrics")[1].decode())
    (one,) = [one for one in shared.get("/api/processes")["processes"] if one["alive"]]
    assert (one["service"], one["decision"]) == ("doomed", "injected")


def test_one_user_who_fills_a_folder_hides_nobody_elses_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "A_USER", 5)
    tmp_path.chmod(0o3777)
    for number in range(20):
        (tmp_path / f"{number}-1.ring").touch()
    for number in (100, 101):
        (tmp_path / f"{number}-1.ring").touch()
        if os.geteuid() == 0:
            os.chown(tmp_path / f"{number}-1.ring", ONE, ONE)
    troubles = Troubles()
    found = [file.who.pid for file in neighbours.find(tmp_path, RING, troubles)]
    assert len(found) == (7 if os.geteuid() == 0 else 5) and troubles == {"crowded": 1}
    assert os.geteuid() != 0 or {100, 101} <= set(found)
    list(neighbours.find(tmp_path, RING, troubles))
    assert troubles == {"crowded": 1}


def test_a_folder_in_the_place_of_a_record_costs_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "1-1.json").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert neighbours.read(str(tmp_path / "1-1.json"), 100) is None
    assert len(os.listdir("/proc/self/fd")) == before
    assert [file.who.pid for file in neighbours.find(tmp_path, RECORD, Troubles())] == [1]
