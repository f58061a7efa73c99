# SPDX-License-Identifier: Apache-2.0
"""`pillion run`: the command itself, with its own code, output and exit code; wrong usage is one clear line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.traced import AGENT, BOOT, Traced, clean_environ

RUN = [sys.executable, "-m", "pillion", "run"]


def environ(traced: Traced, **more: str) -> dict[str, str]:
    return clean_environ(PILLION_RUN_DIR=str(traced.run_dir), PYTHONPATH=str(AGENT), **more)


def test_the_command_keeps_output_code_and_pid_and_is_traced(traced: Traced) -> None:
    path = traced.write("""
        import pillion, sys, os
        with pillion.span("work"): pass
        print("out", os.getpid()); print("err", file=sys.stderr)
        sys.exit(5)
    """)
    command = [*RUN, "--service", "mine", "--", sys.executable, str(path)]
    process = subprocess.Popen(command, env=environ(traced), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (5, f"out {process.pid}\n", "err\n")
    traced.sink.wait(lambda: bool(traced.sink.spans))
    (span,) = traced.sink.spans
    assert span.resource["service.name"] == "mine" and span.resource["process.pid"] == process.pid


def test_children_in_python_are_traced_and_other_children_are_not_disturbed(traced: Traced) -> None:
    path = traced.write("""
        import subprocess, sys, os
        child = "import pillion\\nwith pillion.span('child'): pass"
        assert subprocess.run([sys.executable, "-c", child]).returncode == 0
        print(subprocess.run(["sh", "-c", "echo $0 $PYTHONPATH"], capture_output=True, text=True).stdout.split()[0])
    """)
    done = subprocess.run([*RUN, sys.executable, str(path)], env=environ(traced), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "sh\n", "")
    traced.sink.wait(lambda: bool(traced.sink.named("child")))


def test_the_users_own_pythonpath_stays_behind_ours(traced: Traced) -> None:
    code = "import os; print(os.environ['PYTHONPATH'])"
    own = {**environ(traced), "PYTHONPATH": f"{AGENT}:/x::/y"}
    done = subprocess.run([*RUN, sys.executable, "-c", code], env=own, capture_output=True, text=True)
    assert done.stdout.strip() == f"{BOOT}:{AGENT}:/x::/y"  # an empty entry is the current folder


def test_a_signal_ends_the_command_as_without_us(traced: Traced) -> None:
    code = "import time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([*RUN, sys.executable, "-c", code], env=environ(traced), stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ([], 2, "no command given"),
        (["--"], 2, "no command given"),
        (["--service"], 2, "--service needs a name"),
        (["--service=", "x"], 2, "not empty"),
        (["--serivce", "x", "y"], 2, "unknown option --serivce"),
        (["--", "/no/such/program"], 127, "No such file"),
        (["--", "/tmp"], 126, "Permission denied"),
    ],
)
def test_wrong_usage_is_one_clear_line(traced: Traced, args: list[str], code: int, words: str) -> None:
    done = subprocess.run([*RUN, *args], env=environ(traced), capture_output=True, text=True)
    assert done.returncode == code and done.stdout == ""
    assert words in done.stderr and "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 2


def test_a_wrong_setting_is_told_once_before_the_command_starts(traced: Traced) -> None:
    own = environ(traced, OTEL_TRACES_SAMPLER="sometimes")
    done = subprocess.run([*RUN, sys.executable, "-c", "print(1)"], env=own, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr.startswith("pillion run: OTEL_TRACES_SAMPLER='sometimes'") and len(done.stderr.splitlines()) == 1


def test_help_and_version_need_no_collector(tmp_path: os.PathLike[str]) -> None:
    for args, words in (["--help"], "pillion run"), (["run", "--help"], "--service NAME"), (["--version"], "pillion 0"):
        command = [sys.executable, "-S", "-m", "pillion", *args]  # -S: no site-packages, so no collector's libraries
        done = subprocess.run(command, env=clean_environ(PYTHONPATH=str(AGENT)), capture_output=True, text=True)
        assert done.returncode == 0 and words in done.stdout, done.stderr
