# SPDX-License-Identifier: Apache-2.0
"""What `pillion why --all` sees from outside: real processes, and made-up /proc folders for what is hard to come by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pillion import guarded, why_proc, why_records, why_scan

from tests.support.traced import AGENT, Traced, clean_environ

PYTHON = os.path.realpath(sys.executable)
WAIT = "import sys; print('up', flush=True); sys.stdin.read()"
ELF = b"\x7fELF\2\1" + bytes(10) + b"\3\0" + b"\x3e\0" + bytes(12) + (64).to_bytes(8, "little") + bytes(14)
ELF += (56).to_bytes(2, "little") + (1).to_bytes(2, "little") + bytes(6)


@contextmanager
def running(command: list[str], environ: dict[str, str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that has said it is up, ended afterwards."""
    with subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
        **more,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline().strip() == "up"
            yield process
        finally:
            process.stdin.close()
            process.wait(timeout=60)


def seen(pid: int, run_dir: Path) -> dict[str, Any]:
    """As a user would ask."""
    own = clean_environ(PILLION_RUN_DIR=str(run_dir), PYTHONPATH=str(AGENT))
    command = [sys.executable, "-m", "pillion", "why", str(pid), "--json"]
    (row,) = json.loads(subprocess.run(command, env=own, capture_output=True, text=True).stdout)
    assert row["means"] and row["do"]
    return dict(row)


def test_a_python_that_nothing_reaches_is_told_with_the_evidence(tmp_path: Path) -> None:
    with running([sys.executable, "-c", WAIT], clean_environ()) as process:
        row = seen(process.pid, tmp_path)
    assert (row["decision"], row["code"], row["alive"]) == ("not", "NOT_REACHED", True)
    assert "LD_PRELOAD is not set" in row["reason"] and row["exe"] == PYTHON


def test_one_that_the_rules_would_leave_alone_is_told_so(tmp_path: Path) -> None:
    setup = tmp_path / "setup.py"
    setup.write_text(WAIT)
    with running([sys.executable, str(setup)], clean_environ()) as process:
        row = seen(process.pid, tmp_path)
    assert row["code"] == "NOT_REACHED" and "it would be left alone: BUILD_TOOL" in row["evidence"][-1]


def test_a_library_that_is_not_there_is_told(tmp_path: Path) -> None:
    gone = str(tmp_path / "libpillion.so")
    with running([sys.executable, "-c", WAIT], clean_environ(LD_PRELOAD=gone)) as process:
        row = seen(process.pid, tmp_path)
    assert row["code"] == "PRELOAD_MISSING" and gone in row["reason"]


def test_a_library_that_came_later_or_is_none_is_told(tmp_path: Path) -> None:
    library = tmp_path / "libpillion.so"
    with running([sys.executable, "-c", WAIT], clean_environ(LD_PRELOAD=str(library))) as process:
        library.write_bytes(b"")
        assert seen(process.pid, tmp_path)["code"] == "STARTED_BEFORE"
    facts = fake(tmp_path, environ={"LD_PRELOAD": f"/x.so {library}"}, ticks=10**12)  # started long after that
    assert why_scan.judge(facts, {}, "/run")["code"] == "PRELOAD_REFUSED"


def test_a_process_of_its_own_record_and_the_forks_of_it_are_told(traced: Traced) -> None:
    code = """
        import os, sys
        if os.fork() == 0:
            print('up', flush=True)
            sys.stdin.read()
            os._exit(0)
        os.wait()
    """
    path = traced.write(code)
    with running([sys.executable, str(path)], traced.environ()) as process:
        parent = seen(process.pid, traced.run_dir)
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        forked = seen(child, traced.run_dir)
        elsewhere = seen(child, traced.folder)
    assert (parent["decision"], parent["code"], parent["alive"]) == ("injected", "INJECTED", True)
    assert (forked["decision"], forked["code"]) == ("injected", "FORKED")
    assert f"forked from {process.pid}" in forked["reason"] and forked["service"] == parent["service"]
    assert elsewhere["code"] == "RECORD_ELSEWHERE" and str(traced.run_dir) in elsewhere["reason"]


def test_an_environment_that_was_left_alone_is_told_for_forks_too(traced: Traced) -> None:
    library = str(AGENT / "pillion" / "libpillion.so")
    code = f"import os, sys\nif os.fork() == 0:\n    {WAIT}\n    os._exit(0)\nos.wait()"
    environ = {k: v for k, v in traced.environ(LD_PRELOAD=library).items() if k != "PYTHONPATH"}
    with running([sys.executable, "-S", str(traced.write(code))], environ) as process:
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        rows = [seen(pid, traced.run_dir) for pid in (process.pid, child)]
    assert [(row["decision"], row["code"]) for row in rows] == [("not", "NO_SITE")] * 2


def test_a_fork_of_another_user_is_told_by_its_parents_record_and_command_line(traced: Traced) -> None:
    os.chmod(traced.folder, 0o755)
    code = f"import os, sys\nif os.fork() == 0:\n    {WAIT}\n    os._exit(0)\nos.wait()"
    with running([sys.executable, str(traced.write(code))], traced.environ()) as process:
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        look = f"import os, sys; sys.path.insert(0, {str(AGENT)!r})\nfrom pillion import why_records, why_scan\n"
        look += f"known = why_records.records({str(traced.run_dir)!r})\nos.setuid(54321)\n"
        look += f"for all in known, []:\n    row, = why_scan.scan(all, {str(traced.run_dir)!r}, {child})\n"
        look += "    print(row['decision'], row['code'], row['evidence'][0].split(',')[0])\n"
        done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    told, untold = done.stdout.splitlines()
    assert told == f"injected FORKED forked from {process.pid}", done.stderr
    assert untold.startswith("unknown UNREADABLE")


def test_a_process_of_another_user_is_told_as_not_readable(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    own = clean_environ(PILLION_RUN_DIR="/nowhere")
    code = f"import os, sys; sys.path.insert(0, {str(AGENT)!r})\nfrom pillion import why_scan\nos.setuid(54321)\n"
    code += f"print([(r['decision'], r['code']) for r in why_scan.scan([], '/x', {os.getpid()})])"
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True)
    assert done.stdout == "[('unknown', 'UNREADABLE')]\n", done.stderr


def test_what_is_no_python_is_not_listed(tmp_path: Path) -> None:
    with running(["sh", "-c", "echo up; read x"], clean_environ()) as process:
        assert why_scan.scan([], str(tmp_path), process.pid) == []
        mine = [row["pid"] for row in why_scan.scan([], str(tmp_path))]
    assert os.getpid() in mine and process.pid not in mine


def test_a_record_of_a_program_that_has_been_replaced_is_not_the_new_programs(traced: Traced) -> None:
    path = traced.write("import os; os.execvp('sh', ['sh', '-c', 'echo up; read x'])")
    with running([sys.executable, str(path)], traced.environ()) as process:
        row = seen(process.pid, traced.run_dir)
    assert row["code"] == "INJECTED" and row["alive"] is False, "the Python of that pid has ended"


def fake(folder: Path, maps: str = "", environ: dict[str, str] | None = None, secure: bool = False,
         elf: bytes = ELF + b"\3" + bytes(55), name: str = "python3.11", ticks: int = 1) -> why_proc.Facts:  # fmt: skip
    """A process that isn't there."""
    proc = folder / "proc" / "77"
    shutil.rmtree(proc, ignore_errors=True)
    proc.mkdir(parents=True)
    (folder / name).write_bytes(elf)
    (proc / "stat").write_bytes(b"77 (a ) b) S 1 1 1 0 -1 4194560 " + b"0 " * 12 + f"{ticks} 0 0".encode())
    (proc / "status").write_text("Name:\tx\nUid:\t5\t5\t5\t5\nNSpid:\t77\t3\n")
    (proc / "cmdline").write_bytes(b"python3\0app.py\0")
    (proc / "maps").write_text(maps)
    (proc / "environ").write_text("\0".join(f"{key}={value}" for key, value in (environ or {}).items()) + "\0")
    (proc / "auxv").write_bytes(b"".join(word.to_bytes(8, "little") for word in (23, int(secure), 0, 0)))
    (proc / "exe").symlink_to(folder / name)
    (proc / "root").symlink_to("/")
    return why_proc.Facts(77, str(folder / "proc"))


def test_programs_that_can_not_be_reached_are_told_apart(tmp_path: Path) -> None:
    def code(**more: Any) -> str:
        return str(why_scan.judge(fake(tmp_path, **more), {}, "/run")["code"])

    named = {"LD_PRELOAD": "/opt/pillion/current/libpillion.so"}
    assert code(elf=ELF + b"\1" + bytes(55)) == "STATIC"
    assert code(elf=b"\x7fELF\1\1" + bytes(58)) == "OTHER_MACHINE"
    assert code(elf=ELF[:18] + b"\x28\0" + ELF[20:] + b"\3" + bytes(55)) == "OTHER_MACHINE"
    assert code(environ=named, secure=True) == "SECURE"
    assert code(environ=named) == "PRELOAD_MISSING"
    assert code(environ={"LD_PRELOAD": "/usr/lib/other.so"}) == "NOT_REACHED"
    line = "7f00-7f01 r-xp 0 00:01 5 "
    assert code(maps=line + "/opt/pillion/0.1.0/x86_64/libpillion.so\n") == "NOT_STARTED"
    assert code(maps=line + "/opt/pillion/libpillion.so\n", name="pypy3.10") == "IMPLEMENTATION"
    native = line + "/opt/pillion/0.1.0/x86_64/cp311/_native.abi3.so\n"
    assert code(maps=native, environ={"PILLION_RUN_DIR": "/nowhere"}) == "RECORD_ELSEWHERE"
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")  # as the folder's other name within a container
    orphan = fake(tmp_path, native, {"PILLION_RUN_DIR": str(tmp_path / "link")})
    assert why_scan.judge(orphan, {}, str(tmp_path / "run"))["code"] == "FORKED"


@pytest.mark.parametrize(
    ("name", "mapped", "expected"),
    [
        ("python3", "", True),
        ("python3.13t", "", True),
        ("python3-dbg", "", True),
        ("pypy3", "", True),
        ("sh", "", False),
        ("pythonista.sh", "", False),
        ("uwsgi", "/usr/lib/libpython3.11.so.1.0", True),
        ("app", "/venv/lib-dynload/x.so", True),
        ("node", "/usr/lib/libnode.so", False),
    ],
)
def test_pythons_are_found_by_name_and_by_what_is_mapped(
    tmp_path: Path, name: str, mapped: str, expected: bool
) -> None:
    maps = f"7f00-7f01 r-xp 0 00:01 5 {mapped}\n" if mapped else ""
    facts = fake(tmp_path, maps, name=name)
    facts._argv0 = name
    assert facts.is_python() is expected


def test_links_lead_within_the_root_of_the_process(tmp_path: Path) -> None:
    facts = fake(tmp_path)
    root = tmp_path / "root"
    (root / "opt" / "0.1").mkdir(parents=True)
    (root / "opt" / "current").symlink_to("/opt/0.1")
    (root / "loop").symlink_to("loop")
    Path(facts.folder, "root").unlink()
    Path(facts.folder, "root").symlink_to(root)
    assert facts.inside("/opt/current/../x") == f"{facts.folder}/root/opt/x"
    assert facts.inside("/../../../etc/passwd") == f"{facts.folder}/root/etc/passwd"
    assert facts.inside("/loop/x").startswith(f"{facts.folder}/root")


def test_secrets_of_a_command_line_are_in_no_answer(tmp_path: Path) -> None:
    environ = clean_environ(SECRET="planted-1", LD_PRELOAD="")
    with running([sys.executable, "-c", WAIT, "--password=planted-2"], environ) as process:
        assert "planted" not in json.dumps(seen(process.pid, tmp_path))


def test_a_record_that_another_user_wrote_is_not_believed() -> None:
    facts = why_proc.Facts(os.getpid())
    key = (facts.own_pid, facts.start_ticks)
    lie: dict[str, Any] = {"pid": facts.own_pid, "owner": 64_103, "reason": "a lie"}
    assert why_scan.record_of(facts, {key: [lie]}) is None
    for owner in (0, os.getuid()):
        assert why_scan.record_of(facts, {key: [lie, {**lie, "owner": owner}]}) == {**lie, "owner": owner}


def test_a_folder_in_the_place_of_a_file_costs_no_descriptor(tmp_path: Path) -> None:
    for folder, name in (("processes", "1-1.json"), ("guard", f"{'0' * 16}.crashed")):
        (tmp_path / folder / name).mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        assert why_records.records(str(tmp_path)) == [] and guarded.verdicts(str(tmp_path)) == []
    assert len(os.listdir("/proc/self/fd")) == before
