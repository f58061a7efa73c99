# SPDX-License-Identifier: Apache-2.0
"""Boot: whatever goes wrong at the start, the program runs as without us; its own sitecustomize runs too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.traced import BOOT, Traced

HELLO = "import sys; print('hello', sys.path[1:], sorted(sys.flags)[-1]); sys.exit(3)"


def test_a_program_behaves_the_same_with_and_without(traced: Traced) -> None:
    code = """
        import sys, os, warnings, signal
        print(sys.argv, sys.path, [signal.getsignal(s) for s in (2, 13, 15)], sorted(os.listdir("/proc/self/fd")))
        print(open("/proc/self/stat").read().split()[19], sys.flags, sys.meta_path[-3:] != [])
        warnings.warn("careful")
        print("to stderr", file=sys.stderr)
        sys.exit(7)
    """
    ours, bare = traced.run(code, "a", "b c"), traced.bare(code, "a", "b c")
    assert (ours.code, ours.out, ours.err) == (bare.code, bare.out, bare.err)


def test_no_foreign_module_is_loaded_by_the_start(traced: Traced) -> None:
    code = "import sys; print(' '.join(sorted(sys.modules)))"
    added = set(traced.run(code).out.split()) - set(traced.bare(code).out.split())
    allowed = {"sitecustomize", "atexit", "time", "_posixsubprocess"}
    foreign = {name for name in added if name.partition(".")[0] not in {"pillion", *allowed}}
    assert not foreign & {"ssl", "socket", "threading", "logging", "re", "json", "typing", "importlib.metadata"}
    assert len(foreign) <= 2, foreign


def test_the_applications_own_sitecustomize_runs_once_after_ours(traced: Traced) -> None:
    own = traced.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys; print('mine', 'pillion' in sys.modules)")
    code = "import sitecustomize, sys; print(sitecustomize.__file__)"
    result = traced.run(code, PYTHONPATH=f"{BOOT}/{os.pathsep}{own}")
    assert result.out.splitlines() == ["mine True", str(own / "sitecustomize.py")], result.err


@pytest.mark.parametrize("body", ["raise ValueError('bad')", "import nothing_there", "1/0"])
def test_an_error_in_the_applications_sitecustomize_is_shown_as_cpython_shows_it(traced: Traced, body: str) -> None:
    own = traced.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(body)
    ours = traced.run("print('ran')", PYTHONPATH=f"{BOOT}{os.pathsep}{own}")
    bare = traced.bare("print('ran')", PYTHONPATH=str(own))
    assert (ours.code, ours.out, ours.err) == (bare.code, bare.out, bare.err)


@pytest.mark.parametrize(
    "what", ["SystemExit(1)", "KeyboardInterrupt()", "GeneratorExit()", "MemoryError()", "OSError()"]
)
@pytest.mark.parametrize(
    "where", ["config.read", "rundir.choose", "rundir.make", "guard.open_log", "resource.attributes"]
)
def test_whatever_the_start_raises_the_program_runs(traced: Traced, what: str, where: str) -> None:
    module, name = where.split(".")
    broken = traced.folder / "broken"
    broken.mkdir()
    (broken / "usercustomize.py").write_text("")
    code = f"""
import sys
sys.path.insert(0, {str(BOOT.parents[1])!r})
from pillion import {module}
def explode(*args, **kwargs): raise {what}
{module}.{name} = explode
sys.path.pop(0)
sys.path.insert(0, {str(BOOT)!r})
import runpy, types
sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
runpy.run_path({str(BOOT / "sitecustomize.py")!r})
print("ran")
"""
    result = traced.bare(code, PILLION_RUN_DIR=str(traced.run_dir))
    assert (result.code, result.out, result.err) == (0, "ran\n", "")


def test_odd_entries_of_sys_path_are_left_alone(traced: Traced) -> None:
    own = traced.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys, pathlib; sys.path[:0] = [pathlib.Path('/x'), 5, None]")
    code = "import sys; print([p for p in sys.path if not isinstance(p, str)])"
    result = traced.run(code, PYTHONPATH=f"{own}{os.pathsep}{BOOT}")
    assert result.code == 0 and "5, None" in result.out


@pytest.mark.parametrize(
    ("variables", "reason"),
    [({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED=true"), ({}, "")],
)
def test_the_decision_is_recorded_with_its_reason(traced: Traced, variables: dict[str, str], reason: str) -> None:
    traced.run("pass", **variables)
    (record,) = traced.records()
    assert record["reason"] == reason
    assert record["decision"] == ("not" if reason else "injected")
    assert record["exe"] == sys.executable and record["pid"] > 0 and record["start_ticks"] > 0
    mode = os.stat(next((traced.run_dir / "processes").iterdir())).st_mode & 0o777
    assert mode == 0o600


def test_switched_off_it_leaves_nothing_behind(traced: Traced) -> None:
    result = traced.run(
        "import sys; print([m for m in sys.modules if 'pillion' in m and '_native' in m])", PILLION_ENABLED="0"
    )
    assert result.out == "[]\n"
    assert [record["code"] for record in traced.records()] == ["DISABLED"]
    assert not list((traced.run_dir / "rings").iterdir())


def test_an_unwritable_run_directory_changes_nothing_for_the_program(traced: Traced) -> None:
    code = "from pillion import _native as n\nwith n.begin('x'): pass\nprint(n.stats()['shared'])"
    result = traced.run(code, PILLION_RUN_DIR="/proc/nothing")
    assert (result.code, result.out, result.err) == (0, "False\n", "")
    assert "PILLION_RUN_DIR /proc/nothing" in traced.log()


def test_without_a_collector_the_program_ends_as_fast_and_says_nothing(traced: Traced) -> None:
    traced.sink.stop()
    result = traced.run("from pillion import _native as n\nwith n.begin('x'): print('ok')")
    assert (result.code, result.out, result.err) == (0, "ok\n", "")


def test_a_program_killed_while_starting_leaves_no_damage(traced: Traced) -> None:
    environ = traced.environ()
    for attempt in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", "print('up', flush=True)"], env=environ, stdout=subprocess.PIPE
        )
        time.sleep(attempt * 0.003)  # a moment of the start, whichever it is
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert traced.run("print('fine')").out == "fine\n"
    assert all(record["decision"] == "injected" for record in traced.records())


@pytest.mark.parametrize("form", [["-I"], ["-S"], ["-E"], ["-s"], ["-B"], ["-P"], ["-O"], ["-X", "dev"]])
def test_every_start_form_runs_the_same(traced: Traced, form: list[str]) -> None:
    command = [sys.executable, *form, "-c", "import sys; print(sys.flags.isolated, len(sys.argv)); sys.exit(4)"]
    ours = traced.execute(command, traced.environ())
    bare = traced.execute(command, {k: v for k, v in traced.environ().items() if k != "PYTHONPATH"})
    assert (ours.code, ours.out, ours.err) == (bare.code, bare.out, bare.err)
