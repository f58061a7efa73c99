# SPDX-License-Identifier: Apache-2.0
"""Every way in which a Python program starts: pillion is in it, and the program can't tell."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

from tests.support.preloaded import LIBRARY, Preloaded

STATE = Path(__file__).resolve().parents[1] / "apps" / "state.py"
PYTHON = sys.executable
OPTIONS = [
    "",
    "-I",
    "-E",
    "-s",
    "-P",
    "-B",
    "-O",
    "-OO",
    "-u",
    "-bb",
    "-Wdefault",
    "-Xdev",
    "-Xutf8",
    "-IB",
    "-sEW ignore",
]


def reached(preloaded: Preloaded, *command: str | Path, **env: str) -> str:
    """Runs it both ways: alike, and with pillion in it; what it said."""
    result = preloaded.same(*command, **env)
    assert result.code == 3, result.err
    record = preloaded.record()
    assert (record["decision"], record["reason"], record["via"]) == ("injected", "", "preload")
    assert record["root"] == str(LIBRARY.parents[1]) and preloaded.log() == ""
    return result.out


@pytest.mark.parametrize("option", OPTIONS)
def test_a_script_under_any_option(preloaded: Preloaded, option: str) -> None:
    reached(preloaded, PYTHON, *option.split(), STATE, "a", "-S")


@pytest.mark.parametrize("value", ["", "/nowhere", f"{STATE.parent}", ":", "/a::/b"])
def test_the_applications_pythonpath_stays_what_it_is(preloaded: Preloaded, value: str) -> None:
    reached(preloaded, PYTHON, STATE, PYTHONPATH=value)


@pytest.mark.parametrize("name", ["PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE"])
def test_with_a_variable_of_pythons_own(preloaded: Preloaded, name: str) -> None:
    reached(preloaded, PYTHON, STATE, **{name: "1"})


def test_minus_c_and_standard_input_and_a_module(preloaded: Preloaded) -> None:
    for command in (["-c", STATE.read_text().replace("__file__ and", "None and")], ["-m", "state"]):
        assert preloaded.same(PYTHON, *command, PYTHONPATH=str(STATE.parent)).code == 3
    ran = [
        subprocess.run(
            [PYTHON, "-"],
            input=STATE.read_text().replace("__file__ and", "None and"),
            env=env,
            text=True,
            capture_output=True,
        )
        for env in (preloaded.environ(), {k: v for k, v in preloaded.environ().items() if k != "LD_PRELOAD"})
    ]
    assert ran[0].returncode == 3 and ran[0].stdout == ran[1].stdout
    assert [record["decision"] for record in preloaded.records()] == ["injected"] * 3


@pytest.mark.parametrize("words", [["-S"], ["-IS"], ["-Es", "-S"], ["-W", "ignore", "-S"], ["-X", "dev", "-BS"]])
def test_without_site_it_is_not_reached_and_says_so(preloaded: Preloaded, words: list[str]) -> None:
    assert preloaded.same(PYTHON, *words, STATE).code == 3
    record = preloaded.record()
    assert (record["decision"], record["code"]) == ("not", "NO_SITE") and "-S" in record["reason"]


def test_a_python_of_another_name_says_so_too(preloaded: Preloaded) -> None:
    named = preloaded.folder / "server"
    named.symlink_to(Path(PYTHON).resolve())
    shutil.copy(Path(PYTHON).resolve(), preloaded.folder / "copy")
    for program in (named, preloaded.folder / "copy"):
        preloaded.command(program, "-S", "-c", "print(1)", PYTHONHOME=sys.base_prefix)
    assert [record["code"] for record in preloaded.records()] == ["NO_SITE"] * 2


@pytest.mark.parametrize(
    "words", [["-c", "pass", "-S"], ["-W", "-S", "-c", "pass"], ["-X", "-S", "-c", "pass"], ["--", str(STATE), "-S"]]
)
def test_an_s_that_is_no_option_is_none(preloaded: Preloaded, words: list[str]) -> None:
    preloaded.same(PYTHON, *words)
    assert preloaded.record()["decision"] == "injected"


@pytest.mark.parametrize("word", ["-V", "-h", "--help", "--version", "-VV", "-Vq"])
def test_where_no_program_runs_nothing_is_recorded(preloaded: Preloaded, word: str) -> None:
    preloaded.same(PYTHON, word)
    assert preloaded.records() == []


def test_a_virtual_environment_and_its_console_script(preloaded: Preloaded) -> None:
    folder = preloaded.folder / "venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", folder], check=True)
    script = folder / "bin" / "state"
    script.write_text(f"#!{folder}/bin/python\n{STATE.read_text()}")
    script.chmod(0o755)
    assert str(folder / "lib") in reached(preloaded, script)


def test_a_zipapp(preloaded: Preloaded) -> None:
    source = preloaded.folder / "source"
    source.mkdir()
    shutil.copy(STATE, source / "__main__.py")
    archive = preloaded.folder / "app.pyz"
    zipapp.create_archive(source, archive, interpreter=PYTHON)
    reached(preloaded, archive)


def test_a_pex(preloaded: Preloaded) -> None:
    """It takes sys.path apart and starts itself anew."""
    source = preloaded.folder / "source"
    source.mkdir()
    shutil.copy(STATE, source / "state.py")
    archive = preloaded.folder / "app.pex"
    make = [PYTHON, "-m", "pex", "-D", str(source), "-e", "state", "-o", str(archive), "--python", PYTHON]
    done = subprocess.run(make, capture_output=True, text=True, cwd=preloaded.folder)
    assert done.returncode == 0, done.stderr
    cache = str(preloaded.folder / "cache")
    preloaded.alone(archive, PEX_ROOT=cache)  # the first run of all fills its cache
    assert preloaded.same(archive, PEX_ROOT=cache).code == 3
    assert {record["decision"] for record in preloaded.records()} == {"injected"}


@pytest.mark.parametrize("how", ["link", "hard link", "copy"])
def test_a_python_of_another_name(preloaded: Preloaded, how: str) -> None:
    python, named = Path(PYTHON).resolve(), preloaded.folder / "server"
    if how == "link":
        named.symlink_to(python)
    elif how == "hard link" and python.stat().st_dev == preloaded.folder.stat().st_dev:
        named.hardlink_to(python)
    else:
        shutil.copy(python, named)
    home = str(python.parents[1])
    reached(preloaded, named, STATE, PYTHONHOME=home)


def test_a_name_that_argv_alone_changes(preloaded: Preloaded) -> None:
    reached(preloaded, "/bin/bash", "-c", f"exec -a worker: {PYTHON} {STATE}", PYTHONHOME=sys.base_prefix)


def test_it_is_in_the_children_of_children_but_not_in_the_shells_between(preloaded: Preloaded) -> None:
    child = preloaded.folder / "child.py"
    child.write_text("import subprocess, sys; sys.exit(subprocess.call(['/bin/bash', '-c', sys.argv[1]]))")
    out = preloaded.same(PYTHON, child, f"/usr/bin/env -u X {PYTHON} -I {child} '{PYTHON} {STATE}; exit 4'")
    assert out.code == 4
    assert [record["decision"] for record in preloaded.records()] == ["injected"] * 3


def test_an_application_that_sets_pythonpath_or_nothing_for_its_children(preloaded: Preloaded) -> None:
    code = """
        import os, subprocess, sys
        tell = "import os, sys; print(sys.path, sorted(set(os.environ) - {'LD_PRELOAD'}))"
        for env in ({**os.environ, "PYTHONPATH": "/x:/y"}, {}, {"PYTHONPATH": "/z"}):
            print(subprocess.run([sys.executable, "-c", tell], env=env, stdout=-1).stdout)
    """
    preloaded.write(code)
    preloaded.same(PYTHON, preloaded.folder / "app.py")
    # The child that gets no LD_PRELOAD has no pillion: that is what its parent asked for.
    assert [record["decision"] for record in preloaded.records()] == ["injected"] * 2


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(preloaded: Preloaded, method: str) -> None:
    preloaded.write(f"""
        import multiprocessing, os, sys
        def work(number):
            return number * 2, sys.path[1:], "sitecustomize" in sys.modules
        if __name__ == "__main__":
            multiprocessing.set_start_method("{method}")
            with multiprocessing.Pool(2) as pool:
                print(pool.map(work, range(4)))
    """)
    preloaded.same(PYTHON, preloaded.folder / "app.py")
    records = preloaded.records()
    assert {record["decision"] for record in records} == {"injected"} and len(records) >= 1 + 2 * (method == "spawn")
