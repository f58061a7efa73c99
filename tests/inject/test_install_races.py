# SPDX-License-Identifier: Apache-2.0
"""Installs that are killed at any point, and installs at once: whoever looks finds a whole version, or the old one."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pillion_inject import install as inside
from pillion_inject import manifest, scratch, tree, versions

from tests.inject.conftest import Bundle, install, snapshot
from tests.support.traced import AGENT, clean_environ

Make = Callable[..., Bundle]
DEADLY = """
import os, signal, sys
from pillion_inject import cli
left, step = int(sys.argv[1]), 0
def count(event, args):  # every system call that changes the target, as CPython audits them
    global step
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.mkdir", "os.rename", "os.symlink", "os.chmod", "os.remove", "os.rmdir", "os.truncate"):
        step += 1
        if step == left:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
code = cli.main(sys.argv[2:])
print(step)
sys.exit(code)
"""


def dying(step: int, *args: object) -> subprocess.CompletedProcess[str]:
    """An install that is killed before its step-th change."""
    line = [sys.executable, "-c", DEADLY, str(step), "install", *map(str, args)]
    return subprocess.run(line, env=clean_environ(PYTHONPATH=str(AGENT)), capture_output=True, text=True, timeout=60)


def whole(target: Path, name: str) -> bool:
    """Whether the version is there as its manifest says; one that isn't there at all is none."""
    return {each.folder: each.whole for each in versions.everything(str(target))}[name]


def test_an_install_killed_at_any_step_leaves_the_old_version_or_the_new_and_the_next_one_sweeps(
    bundle: Make, target: Path
) -> None:
    one, two = bundle("0.1.0"), bundle("0.2.0")
    install("--to", target, "--from", one.path)
    steps = int(dying(0, "--to", target, "--from", two.path, "--json").stdout.splitlines()[-1])
    assert steps > 20
    for step in range(1, steps + 1):
        install("--to", target, "--use", "0.1.0")
        install("--to", target, "--remove", "0.2.0")
        ended = dying(step, "--to", target, "--from", two.path)
        assert ended.returncode == -signal.SIGKILL, ended
        current = os.readlink(target / "current")
        assert current in ("0.1.0", "0.2.0") and whole(target, current)
        assert all(each.whole for each in versions.everything(str(target)))
        said = install("--to", target, "--from", two.path, "--json").json
        assert said["current"] == "0.2.0"
        links = [name for name in os.listdir(target) if name.startswith(scratch.PREFIX)]
        assert all((target / name).is_symlink() for name in links)  # too young to be swept: somebody may be at it
        for name in links:
            os.utime(target / name, (0, 0), follow_symlinks=False)
    install("--to", target, "--from", two.path)
    assert sorted(os.listdir(target)) == ["0.1.0", "0.2.0", "current"]


def test_what_a_living_install_works_in_is_not_swept(bundle: Make, target: Path) -> None:
    target.mkdir(parents=True)
    folder = os.open(target, os.O_RDONLY)
    name, held = scratch.make(folder)
    said = install("--to", target, "--from", bundle().path, "--json").json
    assert said["swept"] == 0 and (target / name).is_dir()
    os.close(held)  # its owner is gone
    assert install("--to", target, "--from", bundle().path, "--json").json["swept"] == 1
    assert not (target / name).exists()
    os.close(folder)


def test_a_sweep_never_takes_what_was_renamed_into_place_meanwhile(target: Path) -> None:
    target.mkdir(parents=True)
    folder = os.open(target, os.O_RDONLY)
    name, held = scratch.make(folder)
    late = os.open(target / name, os.O_RDONLY)  # the sweeper has opened it, and waits for the lock
    (target / name).rename(target / "0.1.0")
    os.close(held)
    fcntl.flock(late, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert scratch.hold(folder, name) is None and scratch.sweep(folder) == 0
    assert (target / "0.1.0").is_dir()
    os.close(late)
    os.close(folder)


def test_links_in_a_leftover_are_not_followed(target: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    left = target / f"{scratch.PREFIX}new-1-00"
    left.mkdir(parents=True)
    (left / "folder").symlink_to(precious)
    (left / "file").symlink_to(precious / "file")
    (target / f"{scratch.PREFIX}new-2-00").symlink_to(precious)
    folder = os.open(target, os.O_RDONLY)
    assert scratch.sweep(folder) == 1
    assert (precious / "file").read_text() == "x" and not left.exists()
    os.close(folder)


@pytest.mark.parametrize("same", [True, False], ids=["the same version", "two versions"])
def test_installs_at_once_all_succeed_and_a_reader_never_finds_less_than_a_whole_version(
    bundle: Make, target: Path, same: bool
) -> None:
    bundles = [bundle("0.1.0"), bundle("0.1.0") if same else bundle("0.2.0")]
    install("--to", target, "--from", bundles[0].path)
    good = {each.version: snapshot(each.path)["rules.conf"] for each in bundles}
    seen: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            text = (target / "current" / manifest.NAME).read_bytes()
            seen.append(manifest.parse(text).version)
            assert (target / "current" / "rules.conf").exists()

    def watch() -> None:
        try:
            read()
        except Exception as error:
            seen.append(repr(error))

    watcher = threading.Thread(target=watch)
    watcher.start()
    line = [sys.executable, "-m", "pillion_inject", "install", "--to", str(target), "--from"]
    environ = clean_environ(PYTHONPATH=str(AGENT))
    running = [
        subprocess.Popen(
            [*line, str(each.path)], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for each in bundles * 4
    ]
    errors = [each.communicate(timeout=60)[1] for each in running]
    stop.set()
    watcher.join()
    assert errors == [""] * 8 and [each.returncode for each in running] == [0] * 8
    assert set(seen) <= set(good)
    assert all(each.whole for each in versions.everything(str(target)))
    assert sorted(os.listdir(target)) == sorted({*good, "current"})


def test_who_is_slower_with_the_same_bundle_takes_what_is_there(
    bundle: Make, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle()
    copy = tree.copy

    def slow(*args: object) -> None:
        monkeypatch.setattr(tree, "copy", copy)
        assert install("--to", target, "--from", made.path).code == 0  # the other one
        copy(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(tree, "copy", slow)
    said = inside.install(str(target), str(made.path), None, True)
    assert said.current == "0.1.0"
    assert sorted(os.listdir(target)) == ["0.1.0", "current"]


def test_a_bundle_that_changes_while_it_is_copied_is_refused(
    bundle: Make, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle()
    copy = tree.copy

    def meddled(*args: object) -> None:
        (made.path / "rules.conf").write_bytes(b"# evil!\n")
        copy(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(tree, "copy", meddled)
    said = install("--to", target, "--from", made.path)
    assert said.code == 3 and "rules.conf: has the wrong checksum" in said.err
    assert os.listdir(target) == []
