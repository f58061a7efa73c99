# SPDX-License-Identifier: Apache-2.0
"""The OOM killer's counts, found by the path of a process's control group through whatever mounts there are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pillion_collector.containers import cgroup_of
from pillion_collector.oom import OomKills

from tests.collector.conftest import eventually

ID, SELF = "0123456789abcdef" * 4, "f" * 64
ONE, TWO = "cgroup cgroup rw,memory", "cgroup2 cgroup2 rw"


def tree(folder: Path, path: str, kills: int, two: bool = True) -> Path:
    """A group with its count."""
    group = folder / path.lstrip("/")
    group.mkdir(parents=True, exist_ok=True)
    file = group / ("memory.events" if two else "memory.oom_control")
    file.write_text(f"low 0\noom 9\noom_kill {kills}\n" if two else f"oom_kill_disable 0\noom_kill {kills}\n")
    return file


def mounted(tmp_path: Path, *mounts: tuple[str, Path, str]) -> OomKills:
    lines = [f"30 23 0:26 {root} {path} ro,nosuid shared:9 - {kind}\n" for root, path, kind in mounts]
    info = tmp_path / "mountinfo"
    info.write_text("".join(["garbage\n", "1 2 0:1 / / rw - ext4 /dev/x rw\n", *lines]))
    vmstat(tmp_path, 40)
    return OomKills(str(info), str(tmp_path / "vmstat"))


def vmstat(tmp_path: Path, kills: int) -> None:
    (tmp_path / "vmstat").write_text(f"nr_free_pages 7\noom_kill {kills}\npswpin 1\n")


def test_one_more_than_before_is_one_kill(tmp_path: Path) -> None:
    file = tree(tmp_path, "/a/b", 2)
    kills = mounted(tmp_path, ("/", tmp_path, TWO))
    name = kills.file_of("0::/a/b\n")
    assert name == str(file) and not kills.killed(name, kills.count(name))
    tree(tmp_path, "/a/b", 3)
    assert kills.killed(name, kills.count(name)) and not kills.killed(name, kills.count(name))
    file.unlink()
    assert not kills.killed(name, kills.count(name)) and not kills.killed(None, kills.count(None))


def test_a_group_that_is_gone_already_leaves_the_machines_count(tmp_path: Path) -> None:
    file = tree(tmp_path, "/a", 0)
    kills = mounted(tmp_path, ("/", tmp_path, TWO))
    name = kills.file_of("0::/a")
    file.unlink()
    assert not kills.killed(name, kills.count(name))
    vmstat(tmp_path, 42)
    count = kills.count(name)
    assert (count.group, count.all) == (None, 42) and kills.killed(name, count) and kills.killed(None, count)
    assert not kills.killed(name, count)
    tree(tmp_path, "/b", 5)
    other = kills.file_of("0::/b")
    vmstat(tmp_path, 43)
    tree(tmp_path, "/b", 6)
    assert kills.killed(other, kills.count(other))
    assert not kills.killed(name, kills.count(name))  # that one was the other's
    vmstat(tmp_path, 44)
    for _ in range(2):
        kills.settle()
    assert not kills.killed(name, kills.count(name))  # long ago, and nobody's whom we know


def test_a_kill_of_somebody_unknown_is_not_laid_to_who_is_killed_much_later(tmp_path: Path) -> None:
    tree(tmp_path, "/a", 0)
    kills = mounted(tmp_path, ("/", tmp_path, TWO))
    name = kills.file_of("0::/a")
    tree(tmp_path, "/a", 1)
    kills.settle()
    assert kills._seen == {name: 0}  # it may be just being told
    kills.settle()
    assert not kills.killed(name, kills.count(name))


@pytest.mark.parametrize(
    ("cgroup", "root", "at", "kind"),
    [
        (f"4:memory:/docker/{ID}", "/", f"docker/{ID}", ONE),
        (f"4:memory:/docker/{ID}", "/docker", ID, ONE),
        (f"4:cpu,memory:/docker/{ID}/worker", f"/docker/{ID}", "worker", ONE),
        (f"0::/system.slice/docker-{ID}.scope", "/", f"system.slice/docker-{ID}.scope", TWO),
        (f"0::/../docker-{ID}.scope", "/../..", f"system.slice/docker-{ID}.scope", TWO),
        (f"0::/../docker-{ID}.scope", "/", f"some.slice/deep/er/docker-{ID}.scope", TWO),
        (f"0::/../cri-containerd-{ID}.scope", "/../../..", f"kubepods.slice/a/b/cri-containerd-{ID}.scope", TWO),
    ],
)
def test_the_group_is_found_also_from_within_a_container(
    tmp_path: Path, cgroup: str, root: str, at: str, kind: str
) -> None:
    top = tmp_path / "cgroup"
    tree(top, f"system.slice/docker-{SELF}.scope", 7)
    file = tree(top, at, 4, two=kind == TWO)
    kills = mounted(tmp_path, ("/", tmp_path / "elsewhere", "cgroup cgroup rw,cpu"), (root, top, kind))
    assert kills.file_of(f"0::/nowhere\n{cgroup}\n" if kind == ONE else cgroup) == str(file)


def test_what_the_mounts_do_not_show_is_not_guessed(tmp_path: Path) -> None:
    tree(tmp_path, "/", 7)
    kills = mounted(tmp_path, (f"/docker/{SELF}", tmp_path, ONE))
    for cgroup in (f"4:memory:/docker/{ID}", "4:memory:/", "", "x", f"4:memory:/../{ID}", "0::/../.."):
        assert kills.file_of(cgroup) is None
    assert OomKills("/nowhere").file_of("0::/") is None


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory cgroup of this machine, named as a container's."""
    memory = Path("/sys/fs/cgroup/memory")
    path = (memory if memory.exists() else Path("/sys/fs/cgroup")) / f"pillion-{os.getpid()}" / ID
    try:
        path.mkdir(parents=True)
    except OSError:
        pytest.skip("needs a memory cgroup that may be made")
    yield path
    path.rmdir()
    path.parent.rmdir()


def test_a_real_group_is_found_by_a_process_in_it(group: Path) -> None:
    child = subprocess.Popen(
        ["sh", "-c", f"echo $$ > {group}/cgroup.procs && echo in && read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None and child.stdout.readline() == b"in\n"
    name = OomKills().file_of(cgroup_of(child.pid))
    child.communicate(b"\n")
    assert name is not None and os.path.dirname(name) == str(group)
    assert eventually(lambda: not (group / "cgroup.procs").read_text())
