# SPDX-License-Identifier: Apache-2.0
"""The start as a guest: whatever happens in it, and however Python is started, the program finds what it would have."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.guest import same, was_traced
from tests.support.traced import AGENT, BOOT, Traced, clean_environ

LINES = Path(__file__).parents[1] / "apps" / "boot_lines.py"
OUTSIDE = os.path.realpath(sys.executable)  # the interpreter without this virtual environment: knows no pillion
BUILTIN = {"_signal", "atexit", "errno", "posix", "time", "gc", "sitecustomize"}  # compiled into CPython, or ours


def test_whatever_any_line_of_the_start_raises_the_program_runs(traced: Traced) -> None:
    result = traced.execute(
        [sys.executable, str(LINES), str(AGENT)], clean_environ(PILLION_RUN_DIR=str(traced.run_dir))
    )
    assert (result.code, result.err) == (0, "")
    told = result.out.splitlines()
    assert len(told) == 1, result.out
    assert int(told[0].split()[-1]) > 400, "lines of the start"


def test_an_interrupt_during_the_start_reaches_the_program_and_not_us(traced: Traced) -> None:
    code = f"""
        import os, runpy, sys, types
        sys.path.insert(0, {str(AGENT)!r})
        from pillion import config
        read = config.read
        def interrupted(environ):
            os.kill(os.getpid(), {int(signal.SIGINT)})
            return read(environ)
        config.read = interrupted
        sys.path[:] = [{str(BOOT)!r}, *sys.path[1:]]
        sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
        try:
            runpy.run_path({str(BOOT / "sitecustomize.py")!r})
        except KeyboardInterrupt:
            from pillion import start
            print("interrupted", start._record["decision"])
    """
    result = traced.bare(code, PILLION_RUN_DIR=str(traced.run_dir))
    assert (result.code, result.out, result.err) == (0, "interrupted injected\n", "")


def test_only_our_own_modules_and_built_in_ones_are_loaded_by_the_start(traced: Traced) -> None:
    code = "import sys; print('\\n'.join(sorted(sys.modules)))"
    bare, ours = (set(run.out.split()) for run in (traced.bare(code), traced.run(code)))
    assert bare <= ours, "whatever the program finds loaded without us"
    added = {name for name in ours - bare if name.partition(".")[0] != "pillion"}
    assert added <= BUILTIN & set(sys.builtin_module_names) | {"__future__", "sitecustomize"}


def test_a_bare_script_finds_the_same_path_distributions_and_names_to_import(traced: Traced) -> None:
    code = """
        import importlib.metadata, os, pkgutil, sys
        print(sys.path)
        print(sorted((each.metadata["Name"], each.version) for each in importlib.metadata.distributions()))
        print(sorted(each.name for each in pkgutil.iter_modules()))
        print([type(finder).__name__ for finder in sys.path_hooks], sorted(sys.path_importer_cache) == [])
        for name in ("pillion_collector", "pillion_inject", "nghttp2", "google", "opentelemetry", "wrapt"):
            try:
                __import__(name)
                print(name, "is there")
            except ImportError:
                pass
    """
    same(traced, code, python=OUTSIDE)
    was_traced(traced)


def test_every_module_of_the_standard_library_is_the_same_object_unchanged(traced: Traced) -> None:
    """Of logging one method is wrapped, of threading one function; all other attributes are CPython's own."""
    code = """
        import sys, types
        before = dict(sys.modules)
        import __future__, asyncio, contextvars, functools, gc, importlib, json, os, queue, random, re, select, signal
        import socket, ssl, subprocess, threading, time, warnings, weakref, concurrent.futures, multiprocessing.pool
        for name in sorted(sys.modules):
            module = sys.modules[name]
            top = name.partition(".")[0]
            if not isinstance(module, types.ModuleType) or top in ("pillion", "sitecustomize", "__main__", "logging"):
                continue
            assert before.get(name, module) is module, name
            print(name, module.__spec__ and type(module.__loader__), getattr(module, "__file__", None))
            for key, value in sorted(vars(module).items()):
                known = isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type))
                if known and key not in ("_start_new_thread", "_start_joinable_thread"):
                    print("  ", key, type(value).__name__, value.__module__, value.__qualname__)
    """
    assert "threading" in same(traced, code).ours.out
    was_traced(traced)


@pytest.mark.parametrize(
    "given", ["", "/one", "/one:/two", ":/two", "/one:", "BOOT", "BOOT/:/one", "/one:BOOT", "BOOT:BOOT"]
)
def test_a_pythonpath_of_any_kind_is_kept_in_its_order(traced: Traced, given: str) -> None:
    code = "import sys; print(sys.path)"
    own = given.replace("BOOT", str(BOOT))
    bare = traced.bare(code, PYTHONPATH=":".join(each for each in given.split(":") if "BOOT" not in each))
    main = f"import sys; sys.path.insert(0, {str(AGENT)!r}); from pillion.run import main; main(sys.argv[1:])"
    command = [OUTSIDE, "-c", main, sys.executable, str(traced.folder / "app.py")]
    ours = traced.execute(command, clean_environ(PILLION_RUN_DIR=str(traced.run_dir), PYTHONPATH=own))
    assert (ours.code, ours.out, ours.err) == (bare.code, bare.out, bare.err)
    was_traced(traced)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-", "1>/dev/full"])
def test_closed_and_full_standard_streams_are_as_without(traced: Traced, closed: str) -> None:
    code = """
        import os, sqlite3, sys
        sqlite3.connect(":memory:").execute("SELECT 1")
        report = open(sys.argv[1], "w", closefd=True)
        report.write(repr([stream and stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)]))
        links = [f"/proc/self/fd/{number}" for number in (0, 1, 2)]
        report.write(repr([os.path.exists(link) and os.readlink(link) for link in links]))
        report.close()
        print("to stdout")
        print("to stderr", file=sys.stderr)
    """
    app, report, said = traced.write(code), traced.folder / "report", []
    for environ in (clean_environ(), traced.environ()):
        script = f"exec </dev/null; exec {sys.executable} {app} {report} {closed}"
        done = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, timeout=60)
        links = re.sub(r"pipe:.\d+.", "a pipe", report.read_text())
        said.append((done.returncode, done.stdout, done.stderr, links))
    assert said[1] == said[0]
    was_traced(traced, lambda: bool(traced.sink.named("SELECT")))


def test_a_start_without_arguments_or_streams_is_survived(traced: Traced) -> None:
    """As in an embedded interpreter, whose sys has neither argv nor stderr when site.py runs."""
    code = f"""
        import pathlib, sys, types
        del sys.argv
        kept, sys.stderr, sys.stdout = sys.stdout, None, None
        sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
        sys.path[:0] = [{str(BOOT) + "/"!r}, pathlib.Path("/x"), 5, None, b"/y"]
        path = {str(BOOT / "sitecustomize.py")!r}
        exec(compile(open(path).read(), path, "exec"), {{"__file__": path, "__name__": "sitecustomize"}})
        odd = [entry for entry in sys.path if not isinstance(entry, str)]
        print(odd, "pillion._native" in sys.modules, file=kept)
    """
    result = traced.bare(code, PILLION_RUN_DIR=str(traced.run_dir))
    assert (result.code, result.err) == (0, "")
    assert result.out == "[PosixPath('/x'), 5, None, b'/y'] True\n"
