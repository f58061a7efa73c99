# SPDX-License-Identifier: Apache-2.0
"""The road into each CPython on this machine: 3.8 and later are reached, older ones are left alone and say so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import pythons
from tests.support.preloaded import LIBRARY, Preloaded, compile_c

pytestmark = pytest.mark.timeout(300)  # the first one of a version builds
OWN = "import sys; X = 'own'; print('own', 'sitecustomize' in sys.builtin_module_names)"
TELL = (
    "import os, sys; import sitecustomize as s; print(sys.path, sys.builtin_module_names, s.X, s.__file__, "
    "[n for n in os.environ if n != 'LD_PRELOAD'], sys.flags); sys.exit(3)"
)


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_a_version_is_reached(preloaded: Preloaded, version: str) -> None:
    python, reason = pythons.find(version)
    if python is None:
        pytest.skip(reason)
    site = pythons.build(version, python)
    library = shutil.copy(LIBRARY, site / "pillion" / "libpillion.so")
    (preloaded.folder / "sitecustomize.py").write_text(OWN)
    for options in ([], ["-s"], ["-B", "-W", "error"]):
        result = preloaded.same(python, *options, "-c", TELL, LD_PRELOAD=str(library), PYTHONPATH=str(preloaded.folder))
        assert result.code == 3 and "own False" in result.out, result.err
    result = preloaded.same(python, "-I", "-c", "import sys; print(sys.path)", LD_PRELOAD=str(library))
    records = preloaded.records()
    assert [record["reason"] for record in records] == [""] * 4
    assert {record["python"].rpartition(".")[0] for record in records} == {version}
    preloaded.command(
        python, "-c", "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1')", LD_PRELOAD=str(library)
    )
    preloaded.sink.wait(lambda: any(span.name.startswith("SELECT") for span in preloaded.sink.spans))


EMBEDDED = (
    "import sys; print(sys.path, 'sitecustomize' in sys.modules, "
    # Seen in sub-interpreters: since 3.12 one name twice, in 3.8 the one that was taken away (preload_python.c).
    "sorted(set(sys.builtin_module_names) - {'sitecustomize'}))"
)
FLAGS = (
    "import sysconfig as s; v = s.get_config_var; print('-I' + v('INCLUDEPY'), '-L' + v('LIBDIR'), "
    "'-Wl,-rpath,' + v('LIBDIR'), '-lpython' + v('LDVERSION'), v('LIBS'), v('SYSLIBS'), '-lm -Wl,-E')"
)


@pytest.mark.parametrize("version", [version for version in pythons.VERSIONS if version not in pythons.NEWER])
def test_a_version_is_reached_inside_another_program(preloaded: Preloaded, version: str) -> None:
    python, reason = pythons.find(version)
    if python is None:
        pytest.skip(reason)
    flags = subprocess.run([python, "-c", FLAGS], capture_output=True, text=True, check=True).stdout.split()
    libraries = next(flag for flag in flags if flag.startswith("-L"))[2:]
    if not list(Path(libraries).glob(f"libpython{version}.*")):
        pytest.skip(f"there is no libpython{version} in {libraries}")
    source = Path(__file__).resolve().parent / "programs" / "embed.c"
    program = compile_c(preloaded.folder / "embed", source, *flags)
    site = pythons.build(version, python)
    library = shutil.copy(LIBRARY, site / "pillion" / "libpillion.so")
    home = subprocess.run([python, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True).stdout
    (preloaded.folder / "sitecustomize.py").write_text(OWN.partition(";")[0])
    env = {"LD_PRELOAD": str(library), "PYTHONPATH": str(preloaded.folder), "PYTHONHOME": home.strip()}
    for how in ("once", "thrice", "inittab", "sub", "own", "main"):
        assert preloaded.same(program, how, EMBEDDED, **env).code == 5, how
    assert [record["decision"] for record in preloaded.records()] == ["injected"] * 6


def old(version: str) -> Path:
    """An interpreter that is older than what pillion knows."""
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in [*sorted(folder.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]:
        if candidate and not subprocess.run([candidate, "-c", "pass"], capture_output=True).returncode:
            return Path(candidate)
    pytest.skip(f"CPython {version} is not on this machine")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_an_older_version_is_left_alone_and_says_so(preloaded: Preloaded, version: str) -> None:
    (preloaded.folder / "sitecustomize.py").write_text(OWN)
    preloaded.same(old(version), "-c", TELL, PYTHONPATH=str(preloaded.folder), PYTHONDONTWRITEBYTECODE="1")
    record = preloaded.record()
    assert (record["decision"], record["code"]) == ("not", "VERSION")
    assert record["python"].startswith(version) and version in record["reason"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("3.13.0 experimental free-threading build (main, Oct  7 2024) [GCC 12]", "FREE_THREADED"),
        ("3.14.0 free-threading build (main, Oct  7 2025) [GCC 14]", "FREE_THREADED"),
        ("3.16.0a1 (main) [GCC 14]", "VERSION"),
        ("3.7.99 (x) [y]", "VERSION"),
        ("4.0.0 (x) [y]", "VERSION"),
        ("30.8 (x)", "VERSION"),
        ("", "VERSION"),
        ("3", "VERSION"),
        ("3.11.2 (main) [GCC 12.2.0]", "IMPLEMENTATION"),
    ],
)
def test_what_is_no_python_that_it_knows_is_left_alone(preloaded: Preloaded, said: str, code: str) -> None:
    source = Path(__file__).resolve().parent / "programs" / "fake.c"
    program = compile_c(preloaded.folder / "fake", source, "-rdynamic", f'-DVERSION="{said}"')
    assert preloaded.same(program).code == 6
    record = preloaded.record()
    assert (record["decision"], record["code"], record["python"]) == ("not", code, said.partition(" ")[0])
