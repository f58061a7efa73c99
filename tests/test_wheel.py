# SPDX-License-Identifier: Apache-2.0
"""What a user installs: the wheel holds everything, brings no dependency, and traces from an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.collector.conftest import Running
from tests.journey.conftest import collector, run_dir, traces  # noqa: F401 (fixtures)
from tests.journey.programs import clean

ROOT = Path(__file__).resolve().parents[1]
APP = "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1').fetchall(); print('done')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(ROOT),
    ]
    ended = subprocess.run([*build, "--disable-pip-version-check"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return next(folder.glob("pillion-*.whl"))


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with nothing but the wheel in it; its folder of commands."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    bin = folder / "bin"
    install = [
        str(bin / "python"),
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--disable-pip-version-check",
        str(wheel),
    ]
    ended = subprocess.run(install, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return bin


@pytest.mark.timeout(300)
def test_wheel_holds_the_native_parts_the_boot_file_and_the_page(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    suffixes = [
        name.partition(".")[2].partition("-")[0] for name in names if name.startswith("pillion/_native.cpython")
    ]
    assert suffixes == ["cpython"]
    libraries = ("pillion_collector/libpillion_collector.so", "pillion/libpillion.so")
    for name in (*libraries, "pillion/boot/sitecustomize.py", "pillion/rules.conf", "pillion_inject/__main__.py"):
        assert name in names
    page = {path.relative_to(ROOT / "agent").as_posix() for path in (ROOT / "agent/pillion_collector/ui").rglob("*.*")}
    assert page <= set(names)
    assert not [name for name in names if name.startswith(("native/", "tests/", "build/")) or "__pycache__" in name]


@pytest.mark.timeout(300)
def test_installing_it_brings_no_other_distribution(fresh: Path) -> None:
    ask = "import importlib.metadata as m; print(sorted({d.metadata['Name'] for d in m.distributions()}))"
    said = subprocess.run([str(fresh / "python"), "-c", ask], capture_output=True, text=True, check=True).stdout
    assert set(eval(said)) <= {"pillion", "pip", "setuptools"}


@pytest.mark.timeout(300)
def test_installed_command_traces_a_program(fresh: Path, collector: Running, run_dir: Path) -> None:  # noqa: F811
    command = [str(fresh / "pillion"), "run", "--service", "wheel", "--", str(fresh / "python"), "-c", APP]
    ended = subprocess.run(command, env=clean(PILLION_RUN_DIR=str(run_dir)), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
    assert traces(collector, "service=wheel")


@pytest.mark.timeout(300)
def test_installed_library_is_fit_for_the_environments_own_python(fresh: Path) -> None:
    command = [str(fresh / "pillion"), "canary", "--pairs", "1", "--json", "--", str(fresh / "python")]
    ended = subprocess.run(command, env=clean(), capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    found = json.loads(ended.stdout)
    assert found["via"] == "preload" and found["library"].endswith("/site-packages/pillion/libpillion.so")
    assert "module" in {check["name"] for check in found["checks"] if check["ok"]}


@pytest.mark.timeout(300)
def test_install_asks_for_the_bundle_that_a_wheel_has_not(fresh: Path, tmp_path: Path) -> None:
    command = [str(fresh / "pillion"), "install", "--to", str(tmp_path / "pillion")]
    ended = subprocess.run(command, env=clean(), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("pillion install: --from: name the folder of a bundle")


@pytest.mark.timeout(300)
def test_the_nodes_commands_say_what_to_install(fresh: Path) -> None:
    ended = subprocess.run([str(fresh / "pillion"), "up"], env=clean(), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'pillion[collector]'" in ended.stderr
