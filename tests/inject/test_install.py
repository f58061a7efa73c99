# SPDX-License-Identifier: Apache-2.0
"""`pillion install`: versions appear whole, side by side; `current` moves by one rename, forth and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pillion_inject import install as inside

from tests.inject import live_bundle
from tests.inject.conftest import MACHINE, Bundle, command, install, snapshot, write

Make = Callable[..., Bundle]


def current(target: Path) -> str:
    return os.readlink(target / "current")


def test_first_install_makes_the_folder_the_version_and_the_link(bundle: Make, target: Path) -> None:
    made = bundle("0.1.0")
    said = install("--to", target, "--from", made.path)
    assert (said.code, said.err) == (0, "")
    assert f"pillion 0.1.0 is in {target}/0.1.0 (7 files" in said.out
    assert said.out.endswith(f"LD_PRELOAD={target}/current/libpillion.so\n")
    assert sorted(os.listdir(target)) == ["0.1.0", "current"]
    assert current(target) == "0.1.0"
    assert os.readlink(target / "current/libpillion.so") == f"{MACHINE}/libpillion.so"
    installed, given = snapshot(target / "0.1.0"), snapshot(made.path)
    assert {path: installed[path][1] for path in given} == {path: content for path, (_, content) in given.items()}
    assert set(installed) - set(given) == {"libpillion.so"}


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_files_are_readable_by_any_user_and_folders_not_writable_by_others(
    bundle: Make, target: Path, umask: int
) -> None:
    made = bundle()
    for path in made.path.rglob("*"):
        path.chmod(0o700 if path.is_dir() or path.suffix == ".so" else 0o600)  # as an odd umask of a build leaves them
    assert command("--to", target, "--from", made.path, umask=umask).code == 0
    assert target.stat().st_mode & 0o7777 == target.parent.stat().st_mode & 0o7777 == 0o755
    for path in [target / "0.1.0", *(target / "0.1.0").rglob("*")]:
        if not path.is_symlink():
            wanted = 0o755 if path.is_dir() or path.suffix == ".so" else 0o644
            assert path.stat().st_mode & 0o7777 == wanted, path


def test_what_the_manifest_does_not_list_is_not_installed(bundle: Make, target: Path) -> None:
    made = bundle()
    write(made.path, {"pillion/notes.txt": (b"x", 0o644), "pillion/__pycache__/a.pyc": (b"x", 0o644)})
    assert install("--to", target, "--from", made.path).code == 0
    assert not (target / "0.1.0/pillion/notes.txt").exists()
    assert not (target / "0.1.0/pillion/__pycache__").exists()


def test_second_run_changes_nothing(bundle: Make, target: Path) -> None:
    made = bundle()
    install("--to", target, "--from", made.path)
    before, stamp = snapshot(target), target.stat().st_mtime_ns
    said = install("--to", target, "--from", made.path, "--json")
    assert (said.code, said.json["changed"], said.json["previous"]) == (0, False, "0.1.0")
    assert snapshot(target) == before
    assert target.stat().st_mtime_ns == stamp
    assert "nothing to do" in install("--to", target, "--from", made.path).out


def test_second_run_works_where_nothing_can_be_written(bundle: Make, target: Path) -> None:
    made = bundle()
    install("--to", target, "--from", made.path)
    script = f'mount --bind {target} {target} && mount -o remount,ro,bind {target} && exec "$@"'
    said = command("--to", target, "--from", made.path, before=["unshare", "-rm", "sh", "-c", script, "sh"])
    assert (said.code, said.err) == (0, "")
    assert "nothing to do" in said.out


def test_versions_lie_side_by_side_and_current_moves_forth_and_back(bundle: Make, target: Path) -> None:
    install("--to", target, "--from", bundle("0.1.0").path)
    old = snapshot(target / "0.1.0")
    said = install("--to", target, "--from", bundle("0.2.0").path)
    assert f"current was 0.1.0; back to it: pillion install --to {target} --use 0.1.0" in said.out
    assert current(target) == "0.2.0"
    assert snapshot(target / "0.1.0") == old
    said = install("--to", target, "--use", "0.1.0", "--json")
    assert (said.code, said.json) == (0, {"current": "0.1.0", "previous": "0.2.0", "changed": True})
    assert current(target) == "0.1.0"
    assert install("--to", target, "--use", "0.1.0").out == "current is 0.1.0 as before\n"


def test_no_current_leaves_the_link_as_it_is(bundle: Make, target: Path) -> None:
    said = install("--to", target, "--from", bundle("0.1.0").path, "--no-current")
    assert said.code == 0 and not (target / "current").is_symlink()
    assert f"current is not set: pillion install --to {target} --use 0.1.0" in said.out
    install("--to", target, "--use", "0.1.0")
    assert install("--to", target, "--from", bundle("0.2.0").path, "--no-current", "--json").json["preload"]
    assert current(target) == "0.1.0"


def test_list_shows_which_is_current_and_which_is_damaged(bundle: Make, target: Path) -> None:
    for version in ("0.1.0", "0.2.0", "0.3.0"):
        install("--to", target, "--from", bundle(version).path)
    (target / "0.2.0/rules.conf").write_text("other\n")
    said = install("--to", target, "--list")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("  0.1.0 ") and "7 files" in lines[0] and "aarch64 x86_64" in lines[0]
    assert lines[1].startswith("  0.2.0 ") and lines[1].endswith("damaged: rules.conf: has less than 8 bytes")
    assert lines[2].startswith("* 0.3.0 ")
    listed = install("--to", target, "--list", "--json").json
    assert [(each["folder"], each["current"], each["whole"]) for each in listed] == [
        ("0.1.0", False, True),
        ("0.2.0", False, False),
        ("0.3.0", True, True),
    ]


def test_a_damaged_version_is_put_right_and_never_made_current_as_it_is(bundle: Make, target: Path) -> None:
    one, two = bundle("0.1.0"), bundle("0.2.0")
    install("--to", target, "--from", one.path)
    good = snapshot(target / "0.1.0")
    install("--to", target, "--from", two.path)

    def link(path: Path, end: str) -> None:
        path.unlink()
        path.symlink_to(end)

    damages: list[Callable[[Path], object]] = [
        lambda at: (at / "pillion/__init__.py").write_text("evil"),
        lambda at: (at / "pillion/more.py").write_text("evil"),
        lambda at: (at / "rules.conf").unlink(),
        lambda at: (at / "rules.conf").chmod(0o600),
        lambda at: (at / "pillion").chmod(0o777),
        lambda at: (at / "manifest.json").write_bytes(b"{"),
        lambda at: link(at / "libpillion.so", "/tmp/evil.so"),
        lambda at: link(at / "rules.conf", "/etc/hostname"),
    ]
    for damage in damages:
        damage(target / "0.1.0")
        said = install("--to", target, "--use", "0.1.0")
        assert (said.code, said.out) == (3, "") and "--use 0.1.0: is damaged: " in said.err
        assert current(target) == "0.2.0"
        assert install("--to", target, "--from", one.path, "--no-current", "--json").json["changed"] is True
        assert snapshot(target / "0.1.0") == good
    assert sorted(os.listdir(target)) == ["0.1.0", "0.2.0", "current"]


def test_what_python_caches_in_a_version_is_no_damage(bundle: Make, target: Path) -> None:
    made = bundle()
    install("--to", target, "--from", made.path)
    write(target, {"0.1.0/pillion/__pycache__/start.cpython-311.pyc": (b"x", 0o644)})
    assert install("--to", target, "--from", made.path, "--json").json["changed"] is False


def test_another_build_of_a_version_lies_beside_it(bundle: Make, target: Path) -> None:
    one, two = bundle("0.1.0", "a"), bundle("0.1.0", "b")
    install("--to", target, "--from", one.path)
    before = snapshot(target / "0.1.0")
    folder = install("--to", target, "--from", two.path, "--json").json["folder"]
    assert folder.startswith("0.1.0+") and current(target) == folder
    assert snapshot(target / "0.1.0") == before
    assert install("--to", target, "--from", two.path, "--json").json["changed"] is False
    assert install("--to", target, "--use", "0.1.0").code == install("--to", target, "--use", folder).code == 0


def test_the_current_version_is_never_removed(bundle: Make, target: Path) -> None:
    for version in ("0.1.0", "0.2.0"):
        install("--to", target, "--from", bundle(version).path)
    before = snapshot(target)
    said = install("--to", target, "--remove", "0.2.0")
    assert (said.code, said.out) == (7, "")
    assert said.err == "pillion install: --remove 0.2.0: is the current one: --use another first\n"
    assert snapshot(target) == before
    assert install("--to", target, "--remove", "0.1.0").out == "removed 0.1.0\n"
    assert sorted(os.listdir(target)) == ["0.2.0", "current"]


def test_a_version_that_a_process_was_started_from_is_not_removed(bundle: Make, target: Path) -> None:
    for version in ("0.1.0", "0.2.0"):
        install("--to", target, "--from", bundle(version).path)
    code = """if True:
        import mmap, sys
        file = open(sys.argv[1], "rb")
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        print(flush=True)
        sys.stdin.read()"""
    line = [sys.executable, "-c", code, str(target / "0.1.0" / MACHINE / "libpillion.so")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stdout.readline() == "\n"
        said = install("--to", target, "--remove", "0.1.0")
        running.communicate()
    assert said.code == 7
    assert f"processes started from it still run (pid {running.pid})" in said.err
    assert install("--to", target, "--remove", "0.1.0").code == 0


def test_the_operators_rules_survive(bundle: Make, target: Path) -> None:
    target.mkdir(parents=True)
    write(target, {"rules.conf": (b"deny exe=*\n", 0o644)})
    for version in ("0.1.0", "0.2.0"):
        assert install("--to", target, "--from", bundle(version).path).code == 0
    assert (target / "rules.conf").read_bytes() == b"deny exe=*\n"


def test_arch_chooses_the_library(bundle: Make, target: Path) -> None:
    made = bundle()
    assert install("--to", target, "--from", made.path, "--arch", "arm64").code == 0
    assert os.readlink(target / "current/libpillion.so") == "aarch64/libpillion.so"
    said = install("--to", target, "--from", made.path, "--arch", "riscv64")
    assert said.code == 3
    assert "--arch riscv64: this bundle is for aarch64 and x86_64: name one of these" in said.err


def test_a_bundle_installs_itself_with_nothing_but_python(tmp_path: Path, target: Path) -> None:
    made = live_bundle.make(tmp_path / "bundle", "0.1.0")
    before = snapshot(made)
    line = [sys.executable, "-I", "-S", str(made / "pillion_inject"), "install", "--to", str(target)]
    ended = subprocess.run(line, env={}, cwd="/", capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert current(target) == "0.1.0" and snapshot(made) == before
    installed = str(target / "current/pillion_inject")
    line = [sys.executable, "-I", installed, "install", "--to", str(target), "--list"]
    assert subprocess.run(line, env={}, capture_output=True).returncode == 0
    line = [sys.executable, "-I", installed, "canary", "--pairs", "1", "--json", "--", sys.executable]
    ended = subprocess.run(line, env={}, cwd="/", capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert json.loads(ended.stdout)["library"] == f"{target}/current/libpillion.so"


def test_when_all_is_there_it_is_found_within_100_ms(bundle: Make, target: Path) -> None:
    """The work itself; of several tries the best, since the machine may be busy."""
    made = bundle("0.1.0")
    install("--to", target, "--from", made.path)
    taken = []
    for _ in range(20):
        begin = time.perf_counter()
        assert not inside.install(str(target), str(made.path), None, True).changed
        taken.append(time.perf_counter() - begin)
    assert min(taken) < 0.1
