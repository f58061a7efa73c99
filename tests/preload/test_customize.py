# SPDX-License-Identifier: Apache-2.0
"""The application's own sitecustomize and usercustomize run as they would without pillion, however they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.preloaded import LIBRARY, Preloaded

STATE = Path(__file__).resolve().parents[1] / "apps" / "state.py"
BODIES = {
    "plain": "X = 5; print('mine', __name__, __file__, __spec__.name, __spec__.origin, sys.modules[__name__].X)",
    "imports itself": "import sitecustomize as s; print(s, s.__spec__.origin, type(s.__loader__))",
    "is gone at its end": "del sys.modules['sitecustomize']",
    "is replaced": "import types; sys.modules['sitecustomize'] = types.SimpleNamespace(X=7, __file__='nowhere')",
    "looks at builtin names": "print(sys.builtin_module_names, list(sys.modules)[:20])",
    "sets sys.path": "sys.path.insert(0, '/first'); sys.path.append('/last')",
    "raises": "raise ValueError('bad')",
    "raises from": "raise ValueError('bad') from KeyError('cause')",
    "lacks a module": "import nothing_there",
    "lacks itself": "raise ImportError('gone', name='sitecustomize')",
    "has no name": "raise ImportError('who knows')",
    "is no Python": "this is a syntax error",
    "exits": "sys.exit(4)",
    "exits well": "raise SystemExit",
    "is interrupted": "raise KeyboardInterrupt",
    "has no memory": "raise MemoryError",
    "recurses": "def f(): f()\nf()",
    "asks for its finder": "import importlib.util as u; print(u.find_spec(__name__).origin)",
    "ends the process": "import os; os._exit(6)",
    "starts a thread": "import os, threading; t = threading.Thread(target=print, args=('hi',)); t.start(); t.join()\n"
    "while len(os.listdir('/proc/self/task')) > 1: pass",
    "forks": "import os\nif os.fork() == 0: os._exit(0)\nprint(os.wait()[1])",
}


@pytest.mark.parametrize("module", ["sitecustomize", "usercustomize"])
@pytest.mark.parametrize("what", BODIES)
def test_it_runs_as_without_us(preloaded: Preloaded, module: str, what: str) -> None:
    own = preloaded.folder / "own"
    own.mkdir()
    (own / f"{module}.py").write_text("import sys\n" + BODIES[what])
    # A virtual environment keeps usercustomize out; the interpreter that it was made of runs it.
    python = Path(sys.executable).resolve()
    alone, ours = (run(python, "-B", STATE, PYTHONPATH=str(own)) for run in (preloaded.alone, preloaded.command))
    # What ends in the interpreter's fatal error has its list of extension modules: there ours is one, as any other.
    told = ours.err.replace("\nExtension modules: pillion._native (total: 1)\n", "")
    assert (ours.code, ours.out, told) == (alone.code, alone.out, alone.err)
    assert preloaded.record()["decision"] == "injected"


def test_both_run_and_in_their_order(preloaded: Preloaded) -> None:
    own = preloaded.folder / "own"
    own.mkdir()
    for module in ("sitecustomize", "usercustomize"):
        (own / f"{module}.py").write_text(f"import sys; print('{module}', 'pillion' in sys.modules)")
    python = Path(sys.executable).resolve()
    ours = preloaded.command(python, "-c", "print('app')", PYTHONPATH=str(own))
    assert ours.out == "sitecustomize True\nusercustomize True\napp\n"
    assert preloaded.alone(python, "-c", "print('app')", PYTHONPATH=str(own)).out == ours.out.replace("True", "False")


def test_a_package_of_that_name(preloaded: Preloaded) -> None:
    own = preloaded.folder / "own" / "sitecustomize"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text("from . import part; X = part.Y")
    (own / "part.py").write_text("Y = 8")
    out = preloaded.same(sys.executable, STATE, PYTHONPATH=str(own.parent)).out
    assert f"{own / '__init__.py'} 8" in out


def test_the_one_of_a_virtual_environment(preloaded: Preloaded) -> None:
    folder = preloaded.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "sitecustomize.py").write_text("X = 'of the venv'")
    (packages / "early.pth").write_text("import sys; sys.early = list(sys.path)\n")
    assert "of the venv" in preloaded.same(folder / "bin" / "python", "-I", STATE).out


def test_a_pth_file_that_imports_it_early(preloaded: Preloaded) -> None:
    """Then the application's own start is earlier too, and pillion's with it."""
    folder = preloaded.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "sitecustomize.py").write_text("X = 9; print('once')")
    (packages / "early.pth").write_text("import sitecustomize, sys; print(sitecustomize.X, sys.builtin_module_names)\n")
    assert preloaded.same(folder / "bin" / "python", STATE).out.count("once") == 1
    assert preloaded.record()["decision"] == "injected"


@pytest.mark.parametrize("what", ["raise ValueError('x')", "import sys; sys.exit(3)", "1/0", "class A: pass\nraise A"])
def test_whatever_goes_wrong_in_ours_the_program_runs(preloaded: Preloaded, what: str) -> None:
    """A bundle whose files are damaged: its own package raises."""
    bundle = preloaded.folder / "bundle" / "pillion"
    (bundle / "boot").mkdir(parents=True)
    (bundle / "boot" / "sitecustomize.py").write_text("")
    (bundle / "__init__.py").write_text("import sys; sys.path.append('/left/behind')\n" + what)
    library = bundle / "libpillion.so"
    library.write_bytes(LIBRARY.read_bytes())
    preloaded.same(sys.executable, STATE, LD_PRELOAD=str(library))


@pytest.mark.parametrize("state", ["deleted", "without its package"])
def test_a_bundle_that_is_not_whole_changes_nothing(preloaded: Preloaded, state: str) -> None:
    bundle = preloaded.folder / "bundle" / "pillion"
    bundle.mkdir(parents=True)
    library = bundle / "libpillion.so"
    library.write_bytes(LIBRARY.read_bytes())
    if state == "deleted":
        code = f"import os, sys; os.remove({str(library)!r}); os.execv(sys.executable, ['p', {str(STATE)!r}])"
        environ = preloaded.environ(LD_PRELOAD=str(library))
        done = subprocess.run([sys.executable, "-S", "-c", code], env=environ, capture_output=True, text=True)
        assert done.returncode == 3 and "cannot be preloaded" in done.stderr  # the loader's words, for each exec
    else:
        preloaded.same(sys.executable, STATE, LD_PRELOAD=str(library))
    assert preloaded.records() == []
