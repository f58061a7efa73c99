# SPDX-License-Identifier: Apache-2.0
"""The guarded start: what crashes at its start, again and again, is left alone; what ends any other way is not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.preloaded import Preloaded
from tests.support.traced import AGENT, clean_environ
from tests.support.users import as_root

IN = "import sys; print('pillion' in sys.modules, flush=True)\n"
DEATHS = {
    "a wild pointer": (IN + "import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
    "abort": (IN + "import os; os.abort()", -signal.SIGABRT),
    "a bus error": (IN + "import os, signal; os.kill(os.getpid(), signal.SIGBUS)", -signal.SIGBUS),
    "killed": (IN + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
}
CRASH = DEATHS["abort"][0]


def guard(preloaded: Preloaded) -> Path:
    return preloaded.run_dir / "guard"


def verdicts(preloaded: Preloaded) -> list[Path]:
    return sorted(guard(preloaded).glob("*.crashed"))


def start(preloaded: Preloaded, code: str, *args: str, **env: str) -> bool:
    """Runs a program; whether pillion was in it."""
    result = preloaded.run(code, *args, **env)
    return result.out.startswith("True")


def why(preloaded: Preloaded, *args: str) -> Any:
    own = clean_environ(PILLION_RUN_DIR=str(preloaded.run_dir), PYTHONPATH=str(AGENT))
    command = [sys.executable, "-m", "pillion", "why", *args, "--json"]
    return json.loads(subprocess.run(command, env=own, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("kind", DEATHS)
def test_what_dies_three_times_in_a_row_is_left_alone_and_says_so(preloaded: Preloaded, kind: str) -> None:
    code, expected = DEATHS[kind]
    runs = [preloaded.run(code) for _ in range(5)]
    assert [run.code for run in runs] == [expected] * 5, "it dies as it would"
    assert [run.out for run in runs] == ["True\n"] * 3 + ["False\n"] * 2
    left = [record for record in why(preloaded) if record["code"] == "CRASHED"]
    died = [record["pid"] for record in why(preloaded) if record["code"] == "INJECTED"]
    assert len(left) == 2 and all(f"pid {pid} of 20" in left[0]["reason"] for pid in died) and len(died) == 3
    (verdict,) = verdicts(preloaded)
    assert str(verdict) in left[0]["notes"][0] and "--forgive" in left[0]["notes"][0]


def test_it_is_let_in_again_by_a_command_by_removing_the_file_and_by_another_version(preloaded: Preloaded) -> None:
    def crashed() -> None:
        for _ in range(4):
            preloaded.run(CRASH)
        assert not start(preloaded, CRASH)

    crashed()
    (forgiven,) = why(preloaded, "--forgive", "app.py")
    assert forgiven["program"].endswith("app.py") and len(forgiven["deaths"]) == 3
    assert start(preloaded, CRASH) and why(preloaded, "--forgive", "app.py") == []
    crashed()
    verdicts(preloaded)[0].unlink()
    shutil.rmtree(guard(preloaded))
    assert start(preloaded, CRASH)
    crashed()
    (verdict,) = verdicts(preloaded)
    verdict.write_text(verdict.read_text().replace("pillion agent", "pillion 0.0.1"))
    for path in guard(preloaded).glob("*[!d]"):
        path.unlink()
    assert start(preloaded, CRASH) and not verdicts(preloaded)


def test_a_verdict_is_over_after_a_day(preloaded: Preloaded) -> None:
    for _ in range(4):
        preloaded.run(CRASH)
    (verdict,) = verdicts(preloaded)
    for path in guard(preloaded).glob("*[!d]"):
        path.unlink()
    lines = [line for line in verdict.read_text().splitlines() if not line.startswith("decided")]
    verdict.write_text("\n".join([*lines, f"decided {time.time_ns() - 25 * 3600 * 10**9}"]) + "\n")
    assert start(preloaded, CRASH) and not verdicts(preloaded)


def test_an_orderly_end_makes_good_what_was_before(preloaded: Preloaded) -> None:
    code = IN + "import os; len(sys.argv) > 1 and os.abort()"
    for _ in range(3):
        assert start(preloaded, code, "crash") and start(preloaded, code, "crash")
        assert start(preloaded, code)
        assert not list(guard(preloaded).iterdir())


def test_deaths_that_are_far_apart_make_no_row(preloaded: Preloaded) -> None:
    for _ in range(5):
        assert start(preloaded, CRASH)
        for path in guard(preloaded).iterdir():  # as if each were some minutes ago
            lines = path.read_text().splitlines()
            before = f"start {time.time_ns() - 61 * 10**9} 5"
            path.write_text("\n".join(before if line.startswith("start") else line for line in lines) + "\n")
    assert len(list(guard(preloaded).iterdir())) == 1, "old ones are swept"


def test_another_program_of_the_same_executable_is_let_in(preloaded: Preloaded) -> None:
    for _ in range(4):
        preloaded.run(CRASH)
    other = preloaded.write(IN, "other.py")
    assert preloaded.command(sys.executable, other).out == "True\n"
    assert preloaded.command(sys.executable, "-c", IN).out == "True\n"


def test_when_every_program_of_an_executable_dies_all_of_it_is_left_alone(preloaded: Preloaded) -> None:
    out = [preloaded.command(sys.executable, preloaded.write(CRASH, f"app{n}.py")).out for n in range(7)]
    assert out == ["True\n"] * 5 + ["False\n"] * 2
    (verdict,) = verdicts(preloaded)
    assert "-" not in verdict.name and verdict.read_text().count("died ") == 5
    assert preloaded.command(sys.executable, "-c", IN).out == "False\n"
    assert why(preloaded, "--forgive", os.path.basename(os.path.realpath(sys.executable)))
    assert preloaded.command(sys.executable, "-c", IN).out == "True\n"


def test_starts_beside_each_other_make_no_row(preloaded: Preloaded) -> None:
    """A pool whose workers are ended all at once, twice: eight dead, two in a row."""
    command = [sys.executable, "-c", IN + "import time; time.sleep(600)"]
    for _ in range(2):
        processes = [
            subprocess.Popen(command, env=preloaded.environ(), stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        assert all(one.stdout and one.stdout.readline() == "True\n" for one in processes)
        for one in processes:
            one.kill()
        for one in processes:
            one.communicate(timeout=60)
    assert preloaded.command(*command[:2], IN).out == "True\n" and not verdicts(preloaded)


ORDERLY = {
    "ends": "pass",
    "exit code": "sys.exit(3)",
    "an exception": "raise SystemError('x')",
    "a thread that exits": "import threading; threading.Thread(target=sys.exit).start()",
    "SIGTERM, handled": "import os, signal; signal.signal(15, lambda *_: sys.exit()); os.kill(os.getpid(), 15)",
    "Ctrl-C": "import os, signal; signal.signal(2, signal.default_int_handler); os.kill(os.getpid(), 2)",
    "forks that leave": "import os; [os.fork() or os._exit(0) for _ in range(3)]; [os.wait() for _ in range(3)]",
    "forks that end": "import os; [os.fork() or sys.exit() for _ in range(3)]; [os.wait() for _ in range(3)]",
    "forks that crash": "import os; [os.fork() or os.abort() for _ in range(3)]; [os.wait() for _ in range(3)]",
    "a fork that lives on": "import os\nif os.fork() == 0: os.close(1); os.close(2); import time; time.sleep(1)",
    "exec of itself": "import os\nif not sys.argv[1:]: os.execv(sys.executable, [sys.executable, *sys.argv, 'again'])",
    "subprocesses": "import subprocess; subprocess.run(['true']); subprocess.run([sys.executable, '-c', 'pass'])",
    "spawned": "import multiprocessing as m\nif __name__ == '__main__': m.get_context('spawn').Process().start()",
}  # fmt: skip


@pytest.mark.parametrize("kind", ORDERLY)
def test_ends_that_are_no_crash_leave_nothing(preloaded: Preloaded, kind: str) -> None:
    for _ in range(4):
        assert start(preloaded, IN + ORDERLY[kind])
    assert not list(guard(preloaded).iterdir())


def test_pools_whose_workers_are_ended_by_their_parent_are_traced_again_and_again(preloaded: Preloaded) -> None:
    code = """
        import multiprocessing, sys
        def inside(n):
            return "pillion" in sys.modules
        if __name__ == "__main__":
            for _ in range(5):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.map(inside, [1]), flush=True)
    """
    assert preloaded.run(code).out == "[True]\n" * 5


def test_an_exec_of_something_else_is_no_crash_while_it_lives(preloaded: Preloaded) -> None:
    """A wrapper in Python that becomes a server: as long as that runs, the start before was no death."""
    code = IN + "import os; os.execvp('sleep', ['sleep', '600'])"
    path, living = preloaded.write(code), []
    try:
        for _ in range(5):
            one = subprocess.Popen(
                [sys.executable, str(path)], env=preloaded.environ(), stdout=subprocess.PIPE, text=True
            )
            living.append(one)
            assert one.stdout and one.stdout.readline() == "True\n"
            deadline = time.monotonic() + 60
            while os.path.basename(os.readlink(f"/proc/{one.pid}/exe")) != "sleep":
                assert time.monotonic() < deadline
                time.sleep(0.01)
    finally:
        for one in living:
            one.kill()
            one.communicate()
    assert not verdicts(preloaded)


@pytest.mark.parametrize("shell", ["timeout -s KILL 600 {}", "exec {}", "env {}", "nice {}", "sh -c '{}; true'"])
def test_it_counts_the_same_behind_other_programs(preloaded: Preloaded, shell: str) -> None:
    path = preloaded.write(CRASH)
    command = shell.format(f"{sys.executable} {path}")
    runs = [preloaded.command("sh", "-c", command).out for _ in range(4)]
    assert runs == ["True\n"] * 3 + ["False\n"]


@as_root
def test_restarts_of_a_container_are_one_row_across_its_pid_namespaces(preloaded: Preloaded) -> None:
    path = preloaded.write(CRASH)
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--", sys.executable, str(path)]
    runs = [preloaded.command(*command) for _ in range(4)]
    assert [run.out for run in runs] == ["True\n"] * 3 + ["False\n"], runs[0].err
    assert "pid 1 of 20" in next(record for record in preloaded.records() if record["code"] == "CRASHED")["reason"]


@as_root
def test_one_that_lives_in_another_pid_namespace_is_not_taken_for_dead(preloaded: Preloaded) -> None:
    code = IN + "import time; time.sleep(600)"
    path = preloaded.write(code)
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--", sys.executable, str(path)]
    living = []
    try:
        for _ in range(5):
            one = subprocess.Popen(command, env=preloaded.environ(), stdout=subprocess.PIPE, text=True)
            living.append(one)
            assert one.stdout and one.stdout.readline() == "True\n"
    finally:
        for one in living:
            one.kill()
            one.communicate()
    assert len(list(guard(preloaded).iterdir())) == 5 and not verdicts(preloaded)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(os.urandom(5000)),
    "torn": lambda path: path.write_bytes(b"pillion agent\ndecid"),
    "huge": lambda path: path.write_bytes(b"died 1 1\n" * 500_000),
    "one line": lambda path: path.write_bytes(b"x" * 1_000_000),
    "a pipe": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
    "a loop": lambda path: path.symlink_to(path.name),
    "a link to a file": lambda path: path.symlink_to("/etc/passwd"),
    "numbers": lambda path: path.write_bytes(b"start 99999999999999999999999 -5\ndecided 1e9\ndied\ndied 5\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_in_the_folder_do_no_harm(preloaded: Preloaded, kind: str) -> None:
    assert start(preloaded, CRASH)
    (own,) = guard(preloaded).iterdir()
    stem = "-".join(own.name.split("-")[:2])
    own.unlink()
    for name in (
        f"{stem}.crashed",
        f"{stem[:16]}.crashed",
        f"{stem}-77-88",
        f"{stem}-77-88-99",
        f"{stem}-1-",
        "x",
        "." * 200,
    ):
        FOREIGN[kind](guard(preloaded) / name)
    assert [start(preloaded, CRASH) for _ in range(2)] == [True] * 2
    assert start(preloaded, IN) and isinstance(why(preloaded, "--forgive"), list)
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize("kind", ["a file", "a dangling link", "read-only"])
def test_without_a_folder_for_it_programs_start_unguarded(preloaded: Preloaded, kind: str) -> None:
    if kind == "a file":
        guard(preloaded).write_text("")
    elif kind == "a dangling link":
        guard(preloaded).symlink_to("/nowhere")
    else:
        guard(preloaded).mkdir(mode=0o500)
    assert all(start(preloaded, IN) for _ in range(2))


@as_root
def test_files_of_another_user_count_for_nothing(preloaded: Preloaded) -> None:
    for _ in range(4):
        preloaded.run(CRASH)
    for path in guard(preloaded).iterdir():
        os.chown(path, 54321, -1)
    assert start(preloaded, IN)


def test_a_small_file_size_limit_ends_no_program(preloaded: Preloaded) -> None:
    path = preloaded.write(IN)
    result = preloaded.command("sh", "-c", f"ulimit -f 0; exec {sys.executable} {path}")
    assert (result.code, result.err) == (0, ""), result


def test_what_has_worked_for_a_while_was_no_crash_however_it_ends(preloaded: Preloaded) -> None:
    code = IN + "import gc, os, time\nwhile os.listdir(sys.argv[1]):\n    gc.collect(); time.sleep(0.05)\nos.abort()"
    assert start(preloaded, code, str(guard(preloaded))), "it ended by itself: its file was taken away"
    assert not list(guard(preloaded).iterdir())
