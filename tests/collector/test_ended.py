# SPDX-License-Identifier: Apache-2.0
"""How a process ended, asked in every state it may be in; and what comes into a folder, told at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pillion_collector import ended
from pillion_collector.ended import exit_of
from pillion_collector.processes_read import read_stat
from pillion_collector.watch import Watch

from tests.collector.conftest import DEADLINE_S, Running, eventually
from tests.collector.doomed import Doom, adopted, crashes, doom

__all__ = ["doom"]
TELLS = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 15)
MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.mark.parametrize(
    ("code", "exit"),
    [("raise SystemExit(3)", {"code": 3}), ("pass", {"code": 0}), ("os.kill(os.getpid(), 9)", {"signal": 9})],
)
def test_an_end_is_known_before_and_after_the_parent_has_asked(code: str, exit: dict[str, int]) -> None:
    child = subprocess.Popen([sys.executable, "-c", f"import os; input(); {code}"], stdin=subprocess.PIPE)
    stat, pidfd = read_stat(child.pid), os.pidfd_open(child.pid)
    assert stat is not None and child.stdin is not None
    child.stdin.write(b"\n")
    child.stdin.flush()
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(DEADLINE_S * 1000)
    assert exit_of(pidfd, child.pid, stat.start_ticks) == exit  # a zombie
    child.communicate()
    assert exit_of(pidfd, child.pid, stat.start_ticks) == (exit if TELLS else {"unknown": True})
    assert exit_of(-1, child.pid, stat.start_ticks) == {"unknown": True}
    os.close(pidfd)


def test_a_process_that_lives_has_not_ended() -> None:
    pidfd, stat = os.pidfd_open(os.getpid()), read_stat(os.getpid())
    assert stat is not None and not stat.exiting
    assert exit_of(pidfd, os.getpid(), stat.start_ticks) == {"unknown": True}
    os.close(pidfd)


@pytest.mark.parametrize(
    ("exit", "text", "kind"),
    [
        ({"signal": 9}, "was killed by SIGKILL", "SIGKILL"),
        ({"signal": 9, "oom": True}, "was killed by SIGKILL, out of memory", "SIGKILL"),
        ({"signal": 63}, "was killed by signal 63", "signal 63"),
        ({"code": 7}, "exited with code 7", "exit"),
        ({"exec": True}, "became another program", "exec"),
        ({"unknown": True}, "ended, nobody knows how", "unknown"),
        (None, "ended, nobody knows how", "unknown"),
    ],
)
def test_an_end_in_words(exit: dict[str, int] | None, text: str, kind: str) -> None:
    assert (ended.text(exit), ended.kind(exit)) == (text, kind)


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A memory cgroup of 96 MB; of version 1 or 2, where this user may make one."""
    two = not MEMORY.exists()
    path = (Path("/sys/fs/cgroup") if two else MEMORY) / f"pillion-test-{os.getpid()}"
    limits = {"memory.max": 96 << 20} if two else {"memory.limit_in_bytes": 96 << 20}
    try:
        path.mkdir()
        for name, value in {**limits, "memory.swap.max": 0}.items():
            if (path / name).exists():
                (path / name).write_text(str(value))
        assert (path / next(iter(limits))).exists()
    except (OSError, AssertionError):
        with contextlib.suppress(OSError):
            path.rmdir()
        pytest.skip("needs a memory cgroup that may be made: root, and a controller that is not shut")
    yield path
    assert eventually(lambda: not (path / "cgroup.procs").read_text())
    path.rmdir()


def test_the_oom_killer_is_told_from_other_kills(collector: Running, doom: Doom, small_cgroup: Path) -> None:
    code = "import pillion\nwith pillion.span('GET /', _kind='server'):\n    print('worked', flush=True); exec(input())"
    move = ["sh", "-c", f'echo $$ > {small_cgroup}/cgroup.procs && exec "$@"', "sh"]
    process = doom(collector, code=code, within=move)
    assert process.stdin is not None
    process.stdin.write(b"all = [bytearray(b'x' * (1 << 20)) for _ in range(1000)]\n")
    process.stdin.flush()
    assert process.wait(DEADLINE_S) == -signal.SIGKILL
    assert adopted(collector)["balanced"]
    (crash,) = crashes(collector)
    assert crash["exit"] == {"signal": 9, "oom": True} and crash["how"].endswith("out of memory")
    (request,) = crash["requests"]
    (span,) = collector.get(f"/api/traces/{request['trace_id']}")["spans"]
    assert span["status_message"] == "the process was killed by SIGKILL, out of memory"


def test_what_comes_into_a_folder_is_told_at_once(tmp_path: Path) -> None:
    watch = Watch()
    assert watch.fd >= 0 and watch.add(str(tmp_path)) and watch.add(str(tmp_path))
    assert not watch.add(str(tmp_path / "absent"))
    assert watch.news() == set()
    (tmp_path / "written").write_text("x")
    (tmp_path / ".new").write_text("x")
    (tmp_path / ".new").rename(tmp_path / "renamed")
    poll = select.poll()
    poll.register(watch.fd, select.POLLIN)
    assert poll.poll(DEADLINE_S * 1000)
    assert {(str(tmp_path), name) for name in ("written", "renamed", ".new")} == watch.news()
    assert not poll.poll(0)
    watch.close()
    watch.close()


def test_more_news_than_the_kernel_keeps_is_told_as_such(tmp_path: Path) -> None:
    watch = Watch()
    watch.add(str(tmp_path))
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(limit // 2 + 100):  # two events each
        (tmp_path / f"{number}").write_text("")
    assert watch.news() is None
    (tmp_path / "later").write_text("")
    assert (str(tmp_path), "later") in (watch.news() or ())
    watch.close()
