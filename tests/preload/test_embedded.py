# SPDX-License-Identifier: Apache-2.0
"""Interpreters inside other programs: linked in, initialised again and again, with sub-interpreters, opened late."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

from tests.support.preloaded import Preloaded, compile_c

SOURCE = Path(__file__).resolve().parent / "programs" / "embed.c"
CODE = """
import sys, os, sqlite3
print(sys.path, sys.builtin_module_names, 'sitecustomize' in sys.modules, 'own' in sys.builtin_module_names)
try:
    import sitecustomize
    print(sitecustomize.__file__)
except ImportError as error:
    print(error, error.name)
"""
WAYS = ["once", "thrice", "inittab", "sub", "own", "main"]


def variable(name: str) -> str:
    return str(sysconfig.get_config_var(name) or "")


@pytest.fixture(scope="module")
def embed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, linked to the library of the Python that runs the tests."""
    out, folder, version = tmp_path_factory.mktemp("embed") / "embed", variable("LIBDIR"), variable("LDVERSION")
    if not list(Path(folder).glob(f"libpython{version}.*")):
        pytest.skip(f"there is no libpython{version} in {folder}")
    link = [f"-L{folder}", f"-Wl,-rpath,{folder}", f"-lpython{version}", "-Wl,-E", "-lm", "-ldl", "-lpthread", "-lutil"]
    return compile_c(out, f"-I{variable('INCLUDEPY')}", SOURCE, *link)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("own", [False, True], ids=["", "with a sitecustomize"])
def test_an_embedded_interpreter_sees_no_difference(preloaded: Preloaded, embed: Path, how: str, own: bool) -> None:
    if own:
        (preloaded.folder / "sitecustomize.py").write_text("import sys; print('mine', sys.builtin_module_names)")
    result = preloaded.same(embed, how, CODE, PYTHONPATH=str(preloaded.folder))
    assert "the end 0" in result.out and result.code == 5, result.err
    record = preloaded.record()
    assert (record["decision"], record["reason"]) == ("injected", ""), record


def test_two_programs_in_one_interpreter_each_get_their_start(preloaded: Preloaded, embed: Path) -> None:
    preloaded.same(embed, "sub", CODE, "import threading; print(threading.active_count())")
    preloaded.same(embed, "thrice", "import os; print(os.environ.get('PYTHONPATH'))", PYTHONPATH="")


def test_spans_come_from_an_embedded_interpreter(preloaded: Preloaded, embed: Path) -> None:
    preloaded.command(embed, "once", "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1').fetchall()")
    preloaded.sink.wait(lambda: any(span.name.startswith("SELECT") for span in preloaded.sink.spans))


def test_an_option_of_the_embedder_that_looks_like_pythons_is_none(preloaded: Preloaded, embed: Path) -> None:
    """A program whose -S means something else is recorded first as not reached, then as what it is."""
    named = preloaded.folder / "server"
    shutil.copy(embed, named)
    preloaded.same(named, "-S", "print('ran')")
    assert preloaded.record()["decision"] == "injected"
