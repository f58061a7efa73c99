# SPDX-License-Identifier: Apache-2.0
"""What a preloaded Python leaves in the run directory when it stands down, and that it does not pile up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.preloaded import Preloaded
from tests.support.traced import AGENT, clean_environ
from tests.support.users import as_root

FIELDS = {"pid", "start_ticks", "pid_ns", "uid", "exe", "parent_pid", "via", "root", "decision", "code", "reason",
          "service", "pillion", "time_ns", "python", "notes"}  # fmt: skip
HELLO = "import sys; print('pillion' in sys.modules)"


def test_a_denied_process_leaves_a_whole_record_and_nothing_else(preloaded: Preloaded) -> None:
    own = preloaded.folder / "rules.conf"
    own.write_text("deny arg=*in?sys.modules* code=NIGHTLY   # why\nhuh\n")
    result = preloaded.same(sys.executable, "-c", HELLO, PILLION_RULES=str(own), OTEL_SERVICE_NAME='sh"op\n')
    assert result.out == "False\n"
    record = preloaded.record()
    assert set(record) == FIELDS
    assert (record["decision"], record["code"], record["via"]) == ("not", "NIGHTLY", "preload")
    assert record["reason"] == f"{own}:1: deny arg=*in?sys.modules* code=NIGHTLY # why" and record["notes"] == []
    assert record["service"] == 'sh"op\ufffd' and record["exe"] == os.path.realpath(sys.executable)
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert sorted(os.listdir(preloaded.run_dir)) == ["pillion.sock", "processes"]
    (path,) = (preloaded.run_dir / "processes").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_rules_are_read_anew_by_each_start(preloaded: Preloaded) -> None:
    own = preloaded.folder / "rules.conf"
    said = []
    for text in ("deny", "allow", "", "deny user=nobody-at-all", f"deny user={os.getuid()}"):
        own.write_text(text)
        said.append(preloaded.command(sys.executable, "-c", HELLO, PILLION_RULES=str(own)).out)
    own.unlink()
    said.append(preloaded.command(sys.executable, "-c", HELLO, PILLION_RULES=str(own)).out)
    assert said == ["False\n", "True\n", "True\n", "True\n", "False\n", "True\n"]


@pytest.mark.parametrize("kind", ["none", "a file", "read-only", pytest.param("full", marks=as_root)])
def test_where_no_record_can_be_left_a_denied_process_runs_the_same(preloaded: Preloaded, kind: str) -> None:
    place = preloaded.folder / "run"
    if kind == "a file":
        place.write_text("")
    elif kind != "none":
        place.mkdir(mode=0o500 if kind == "read-only" else 0o700)
    command: list[str | Path] = [sys.executable, "-m", "pip", "--version"]
    if kind == "full":
        mounted = f'mount -t tmpfs -o size=4k none {place} && head -c 4096 /dev/zero >{place}/x; exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", mounted, "sh", *command]
    result = preloaded.same(*command, PILLION_RUN_DIR=str(place))
    assert result.code == 0 and result.out.startswith("pip "), result
    assert kind == "read-only" or not place.is_dir() or not list(place.rglob("*.json"))


def test_records_of_the_dead_do_not_pile_up_without_a_collector(preloaded: Preloaded) -> None:
    folder = preloaded.run_dir / "processes"
    folder.mkdir()
    dead = subprocess.run(["sh", "-c", "echo $$"], env=clean_environ(), capture_output=True, text=True).stdout.strip()
    for number in range(7000):
        (folder / f"{dead}-{number}.json").write_text("{}")
    living = folder / f"{os.getpid()}-{Path('/proc/self/stat').read_text().rpartition(')')[2].split()[19]}.json"
    elsewhere = folder / f"{dead}-5-4026530000.json"
    for path in (living, elsewhere, folder / "notes.txt"):
        path.write_text("{}")
    for _ in range(3):
        preloaded.command(sys.executable, "-S", "-c", "pass")
    assert 6000 < len(os.listdir(folder)) < 7000, "some at each start, until there are few enough"
    assert living.exists() and elsewhere.exists() and (folder / "notes.txt").exists()


@as_root
def test_in_a_shared_folder_the_collectors_group_may_read_what_another_user_leaves(preloaded: Preloaded) -> None:
    """As `pillion up --shared` makes it: everybody may put files there, nobody else may read them."""
    os.chmod(preloaded.folder, 0o755)
    os.chmod(preloaded.run_dir, 0o755)
    for name in ("rings", "processes", "guard"):
        (preloaded.run_dir / name).mkdir(exist_ok=True)
        os.chown(preloaded.run_dir / name, -1, 4321)
        os.chmod(preloaded.run_dir / name, 0o3777)
    site = Path("/dev/shm") / f"pillion-{os.urandom(4).hex()}"
    try:
        shutil.copytree(AGENT / "pillion", site / "pillion", ignore=shutil.ignore_patterns("__pycache__"))
        environ = preloaded.environ(LD_PRELOAD=str(site / "pillion" / "libpillion.so"), HOME="/")
        crash = ["/usr/bin/python3", "-c", "import os; os.abort()"]
        for command in (["/usr/bin/python3", "-S", "-c", "pass"], *[crash] * 4):
            subprocess.run(
                ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", *command], env=environ, cwd="/"
            )
    finally:
        shutil.rmtree(site)
    paths = [path for name in ("processes", "guard") for path in (preloaded.run_dir / name).iterdir()]
    assert [(path.stat().st_mode & 0o777, path.stat().st_uid, path.stat().st_gid) for path in paths] == [
        (0o640, 54321, 4321)
    ] * len(paths)
    assert sorted(record["code"] for record in preloaded.records()) == [
        "CRASHED",
        "INJECTED",
        "INJECTED",
        "INJECTED",
        "NO_SITE",
    ]
    assert len(list((preloaded.run_dir / "guard").glob("*.crashed"))) == 1
