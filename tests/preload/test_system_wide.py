# SPDX-License-Identifier: Apache-2.0
"""libpillion.so in /etc/ld.so.preload, so in every program, setuid ones too. In a mount namespace of the test's own:
the machine's file is never touched."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.preloaded import LIBRARY, Preloaded, compile_c
from tests.support.traced import Result

MIRROR = Path(__file__).resolve().parent / "programs" / "mirror.c"
STATE = MIRROR.parents[2] / "apps" / "state.py"
# /etc becomes a copy of itself on a tmpfs that only this namespace sees, with the library in its ld.so.preload.
SCRIPT = """\
set -e
mount -t tmpfs etc /mnt
cp -a /etc/. /mnt/
rm -f /mnt/ld.so.preload
[ -z "$1" ] || echo "$1" >/mnt/ld.so.preload
mount --move /mnt /etc
shift
exec "$@"
"""


@cache
def lacking() -> str:
    """Why no namespace can be had here; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    done = subprocess.run(["unshare", "-m", "sh", "-c", SCRIPT, "sh", "", "true"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


def run(library: str, *command: str | Path, env: dict[str, str], user: int = 0) -> Result:
    """Runs a command where the file names the library; with "" there is no such file."""
    words = [str(word) for word in command]
    if user:
        words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *words]
    whole = ["unshare", "-m", "sh", "-c", SCRIPT, "sh", library, *words]
    done = subprocess.run(whole, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env}, capture_output=True, text=True)
    return Result(done.returncode, done.stdout, done.stderr)


def same(*command: str | Path, env: dict[str, str] | None = None, user: int = 0) -> Result:
    if lacking():
        pytest.skip(f"no mount namespace: {lacking()}")
    alone, ours = (run(library, *command, env=env or {}, user=user) for library in ("", str(LIBRARY)))
    assert ours == alone
    return ours


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may look into and that allows setuid programs."""
    if lacking():
        pytest.skip(f"no mount namespace: {lacking()}")
    folder = Path("/var/tmp") / f"pillion-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def test_the_file_is_read_there_and_not_here(preloaded: Preloaded) -> None:
    if lacking():
        pytest.skip(f"no mount namespace: {lacking()}")
    maps = run(str(LIBRARY), "/bin/cat", "/proc/self/maps", env={})
    assert str(LIBRARY) in maps.out and maps.err == ""
    assert str(LIBRARY) not in run("", "/bin/cat", "/proc/self/maps", env={}).out


@pytest.mark.parametrize("build", [[], ["-static"], ["-no-pie", "-fno-pic"], ["-fsanitize=address"]])
@pytest.mark.parametrize("env", [{}, {"A": "b", "PYTHONPATH": ""}], ids=["empty environment", "small one"])
def test_a_program_sees_nothing_at_all(tmp_path: Path, build: list[str], env: dict[str, str]) -> None:
    program = compile_c(tmp_path / "mirror", MIRROR, *build)
    result = same("/usr/bin/env", "-i", *(f"{k}={v}" for k, v in env.items()), program, "a", "b")
    assert result.code == 7


def test_a_setuid_program_sees_nothing(public: Path) -> None:
    program, cat = compile_c(public / "mirror", MIRROR), Path(shutil.copy("/bin/cat", public / "cat"))
    program.chmod(0o4755)
    cat.chmod(0o4755)
    result = same(program, "a", env={"PILLION_RUN_DIR": "/x"}, user=65534)
    assert result.code == 7 and "secure 1" in result.out
    assert str(LIBRARY) in run(str(LIBRARY), cat, "/proc/self/maps", env={}, user=65534).out  # mapped all the same


def test_a_setuid_python_is_left_alone_and_no_folder_of_its_users_choice_is_written(public: Path) -> None:
    """The environment is the user's, the rights are root's."""
    python = Path(shutil.copy("/usr/bin/python3", public / "python3"))
    python.chmod(0o4755)
    chosen = public / "chosen"
    for name in ("processes", "rings", "guard"):
        (chosen / name).mkdir(parents=True)
    (public / "tell.py").write_text("import os, sys; print(os.getuid(), os.geteuid(), 'pillion' in sys.modules)")
    for folder in (chosen, *chosen.iterdir()):
        os.chown(folder, 65534, 65534)
    result = same(python, public / "tell.py", env={"PILLION_RUN_DIR": str(chosen)}, user=65534)
    assert result.out == "65534 0 False\n", result.err
    assert [path for folder in chosen.iterdir() for path in folder.iterdir()] == []


def test_a_python_with_capabilities_of_its_file_is_left_alone(public: Path) -> None:
    if shutil.which("setcap") is None:
        pytest.skip("setcap is not on this machine")
    python = Path(shutil.copy("/usr/bin/python3", public / "python3"))
    subprocess.run(["setcap", "cap_net_bind_service+ep", python], check=True)
    (public / "tell.py").write_text(
        "import sys; print(open('/proc/self/status').read().split('CapEff')[1][:18]);"
        "print('pillion' in sys.modules, sys.builtin_module_names)"
    )
    result = same(python, public / "tell.py", env={"PILLION_RUN_DIR": str(public)}, user=65534)
    assert result.code == 0 and "\nFalse (" in result.out and "0400" in result.out


@pytest.mark.parametrize("state", ["unreadable", "a folder", "empty", "no library", "not there", "not executable"])
def test_programs_start_however_bad_the_file_is(public: Path, state: str) -> None:
    """The loader complains in its own line, and goes on."""
    library = public / "libpillion.so"
    if state == "a folder":
        library.mkdir()
    elif state != "not there":
        library.write_bytes({"empty": b"", "no library": b"#!/bin/sh\n" * 9}.get(state, LIBRARY.read_bytes()))
        library.chmod({"unreadable": 0o000, "not executable": 0o444}.get(state, 0o755))
    ours, bare = (run(name, "/bin/echo", "a", env={}, user=65534) for name in (str(library), ""))
    assert (ours.code, ours.out) == (bare.code, bare.out) == (0, "a\n")
    assert all("cannot be preloaded" in line for line in ours.err.splitlines())
    assert bool(ours.err) == (state != "not executable")


def test_pythons_with_any_environment_are_reached(preloaded: Preloaded) -> None:
    settings = preloaded.settings()
    words = [f"{name}={value}" for name, value in settings.items()]
    for command in (
        [sys.executable, STATE],
        ["/bin/sh", "-c", f"exec {shlex.join([sys.executable, '-I', str(STATE)])}"],
    ):
        assert same("/usr/bin/env", "-i", *words, *command).code == 3
    assert [record["decision"] for record in preloaded.records()] == ["injected"] * 2
    same("/usr/bin/env", "-i", sys.executable, "-c", "print(1)", env={})  # with no variable at all


def test_a_thousand_short_commands_do_the_same(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text(
        "i=0; while [ $i -lt 125 ]; do i=$((i + 1)); /bin/echo $i | /bin/cat | /usr/bin/tr 1 2; /bin/date +%Y; "
        "/usr/bin/env; /bin/true || exit 1; /bin/ls -d /; /usr/bin/id -u; done; exit 5\n"
    )
    assert same("/bin/sh", script).code == 5


def test_a_machine_of_two_libcs(tmp_path: Path) -> None:
    """musl's loader doesn't read the file, but what a shell of glibc starts may be of musl."""
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not on this machine (package musl-tools)")
    program = compile_c(tmp_path / "mirror", MIRROR, compiler="musl-gcc")
    assert same("/bin/sh", "-c", f"{program} a; exit $?").code == 7
