# SPDX-License-Identifier: Apache-2.0
"""Pythons, folders, users and machines where pillion can't work, or only just: the program runs, the reason is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.guest import lines, same, was_traced
from tests.support.traced import AGENT, BOOT, Traced, clean_environ

OTHER = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--no-new-privs")
as_root = pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
VERSIONS = [
    *(((3, minor), "cpython", None) for minor in (0, 5, 6, 7)),
    *(((2, 7), "cpython", None), ((3, 11), "cpython", "")),
    *(((3, minor), "cpython", "newer than this pillion knows") for minor in (16, 20, 100)),
    *(((4, 0), "cpython", "newer than this pillion knows"), ((3, 10), "pypy", "pypy: CPython alone is supported")),
    ((3, 12), "graalpy", "graalpy: CPython alone is supported"),
]


@pytest.mark.parametrize(("version", "implementation", "reason"), VERSIONS)
def test_each_version_is_let_in_or_turned_away_with_a_reason(
    traced: Traced, version: tuple[int, int], implementation: str, reason: str | None
) -> None:
    """None: too old to read any of our files, so nothing of ours is loaded and nothing is recorded."""
    code = f"""
        import runpy, sys, types
        sys.version_info = {(*version, 0, "final", 0)!r}
        sys.implementation.name = {implementation!r}
        sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
        runpy.run_path({str(BOOT / "sitecustomize.py")!r})
        print(any(name.startswith("pillion") for name in sys.modules), "pillion._native" in sys.modules)
    """
    result = traced.bare(code, PILLION_RUN_DIR=str(traced.run_dir))
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{reason is not None} {reason == ''}\n"
    records = traced.records()
    assert len(records) == (reason is not None)
    if records:
        assert reason in records[0]["reason"] and records[0]["decision"] == ("not" if reason else "injected")


def test_boot_is_readable_by_pythons_that_we_do_not_support() -> None:
    """No syntax that came after Python 2.7, or 3.0: none is here to try it, so its words are looked at."""
    text = (BOOT / "sitecustomize.py").read_text()
    assert text.isascii()
    for word in (' f"', "f'", "async ", "await ", "nonlocal", ":=", "print ", " -> ", "yield from", "raise from", "*,"):
        assert word not in text, word
    compile(text, "sitecustomize.py", "exec", dont_inherit=True)


DAMAGE = ["missing", "half-written", "cut at its end", "garbage", "empty", "of another Python"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_native_module_that_does_not_load_is_told_and_costs_nothing(traced: Traced, damage: str) -> None:
    agent = traced.folder / "agent"
    shutil.copytree(AGENT / "pillion", agent / "pillion", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (native,) = [path for path in (AGENT / "pillion").glob("_native.*.so") if sys.implementation.cache_tag in path.name]
    if damage == "of another Python":
        shutil.copy(native, agent / "pillion" / native.name.replace(sys.implementation.cache_tag, "cpython-37m"))
    elif damage != "missing":
        whole = native.read_bytes()
        written = {
            "empty": b"",
            "garbage": b"nonsense" * 999,
            "half-written": whole[:5000],
            "cut at its end": whole[:-1],
        }
        (agent / "pillion" / native.name).write_bytes(written[damage])
    code = "import sqlite3, sys\nprint(sqlite3.connect(':memory:').execute('SELECT 5').fetchall(), sys.path[1:])"
    bare = traced.bare(code, python=os.path.realpath(sys.executable))
    ours = traced.run(code, python=os.path.realpath(sys.executable), PYTHONPATH=str(agent / "pillion" / "boot"))
    assert lines(ours) == lines(bare)
    (record,) = traced.records()
    assert record["decision"] == "not" and record["reason"].startswith("ImportError"), record


@as_root
def test_any_user_without_home_network_or_a_folder_to_write_is_served(traced: Traced) -> None:
    """A random uid, as restricted pods have it; the file system is only read, and there is no network at all."""
    code = "import os, sqlite3; print(sqlite3.connect(':memory:').execute('SELECT 5').fetchall(), os.getuid())"
    place = Path("/dev/shm") / f"pillion-{os.urandom(4).hex()}"
    site = place / "site"
    try:
        shutil.copytree(AGENT / "pillion", site / "pillion", ignore=shutil.ignore_patterns("__pycache__"))
        os.chmod(place, 0o555)
        python = os.path.realpath("/usr/bin/python3")
        command = [*OTHER, "--", python, "-c", code]
        if shutil.which("unshare"):
            command = ["unshare", "--net", "--", *command]
        environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site / "pillion" / "boot")}
        for run_dir in ({}, {"PILLION_RUN_DIR": "/proc/nowhere"}, {"PILLION_RUN_DIR": str(place / "run")}):
            done = subprocess.run(
                command, env={**environ, **run_dir}, cwd="/", capture_output=True, text=True, timeout=60
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, "[(5,)] 54321\n", "")
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree("/dev/shm/pillion-54321", ignore_errors=True)


def test_five_hundred_distributions_are_not_looked_at(traced: Traced) -> None:
    """Every file and folder that the start opens is known: our own, of /proc and /etc, and the folders of sys.path."""
    many = traced.folder / "many"
    for number in range(500):
        folder = many / f"package_{number}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: package-{number}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("[opentelemetry_distro]\nx = y:z\n[sitecustomize]\nx = y:z\n")
    code = f"""
        import os, runpy, sys, types
        opened = []
        def hook(event, arguments):
            if event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen", "os.posix_spawn"):
                opened.append(str(arguments[0]))
        sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
        path = set(sys.path)
        runpy.run_path({os.devnull!r})  # imports what it needs itself
        sys.addaudithook(hook)
        runpy.run_path({str(BOOT / "sitecustomize.py")!r})
        allowed = ({str(AGENT)!r}, "/proc/self/", "/etc/", "/var/lib/dbus/", os.environ["PILLION_RUN_DIR"])
        allowed = (*allowed, os.path.dirname(os.__file__) + "/__pycache__")
        print([name for name in opened if not name.startswith(allowed) and name not in path])
        print(sorted({{"importlib.metadata", "pkg_resources", "importlib.resources", "email"}} & set(sys.modules)))
        print("pillion._native" in sys.modules, len(opened) < 60 or opened)
    """
    result = traced.bare(code, PILLION_RUN_DIR=str(traced.run_dir), PYTHONPATH=str(many))
    assert (result.code, result.out, result.err) == (0, "[]\n[]\nTrue True\n", "")


def test_own_sitecustomize_and_usercustomize_of_an_environment_run_once_each(traced: Traced) -> None:
    venv, user = traced.folder / "venv", traced.folder / "user"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "sitecustomize.py").write_text("print('site', __name__)\n")
    theirs = user / "lib" / site.parent.name / "site-packages"
    theirs.mkdir(parents=True)
    (theirs / "usercustomize.py").write_text("print('user', __name__)\nraise ValueError('of the user')\n")
    both = same(traced, "print('program')", python=str(venv / "bin" / "python"), PYTHONUSERBASE=str(user))
    assert both.ours.out == "site sitecustomize\nuser usercustomize\nprogram\n"
    assert "of the user" in both.ours.err
    was_traced(traced)


FORMS = {
    "a script": ["{app}", "a"],
    "a module": ["-m", "app", "a"],
    "a folder": ["{folder}/packed", "a"],
    "a zip file": ["{folder}/packed.zip", "a"],
    "standard input": ["-", "a"],
    "a command": ["-c", "import app"],
    "safe path": ["-P", "{app}"],
    "optimised": ["-OO", "{app}"],
    "unbuffered, verbose imports": ["-u", "-X", "importtime", "-c", "pass"],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_program_in_any_form_is_traced_and_finds_itself_as_it_was(traced: Traced, form: str) -> None:
    app = traced.write(
        "import sqlite3, sys\nsqlite3.connect(':memory:').execute('SELECT 1')\nprint(__name__, sys.argv)\n"
    )
    for line in ("print(sys.path[:2], __spec__ and __spec__.name, __file__ if '__file__' in dir() else None)",):
        app.write_text(app.read_text() + line + "\n")
    packed = traced.folder / "packed"
    packed.mkdir()
    shutil.copy(app, packed / "__main__.py")
    shutil.make_archive(str(packed), "zip", packed)
    command = [sys.executable, *(each.format(app=app, folder=traced.folder) for each in FORMS[form])]
    told = []
    for environ in (clean_environ(), traced.environ()):
        environ["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run(
            command, env=environ, input=app.read_text(), capture_output=True, text=True, cwd=traced.folder, timeout=60
        )
        told.append((done.returncode, done.stdout, "" if "importtime" in command else done.stderr))
    assert told[1] == told[0]
    was_traced(traced, None if "verbose" in form else lambda: bool(traced.sink.named("SELECT")))
