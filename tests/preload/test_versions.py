# SPDX-License-Identifier: Apache-2.0
"""The road into each CPython on this machine: 3.8 and later are reached, older ones are left alone and say so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import pythons
from tests.support.preloaded import LIBRARY, Preloaded

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
