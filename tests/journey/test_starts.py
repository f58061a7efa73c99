# SPDX-License-Identifier: Apache-2.0
"""Every way in which people start Python, with the real collector: spans come, and the program is what it was.

Each is compared with the bare program: output, errors, exit code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.collector.conftest import Running
from tests.journey import programs
from tests.journey.conftest import traces
from tests.support.servers import free_port

SCRIPT = """
import sqlite3, sys, warnings
print("hello", sys.argv[1:], __name__)
sqlite3.connect(":memory:").execute("SELECT 40 + 2").fetchall()
print("to stderr", file=sys.stderr)
sys.exit(7)
"""
PARENT = """
import subprocess, sys
code = "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1').fetchall(); print('child')"
for command in ([sys.executable, "-c", code], ["sh", "-c", f'exec "{sys.executable}" -c "{code}"']):
    print(subprocess.run(command, capture_output=True, text=True))
"""
FLASK = """
import flask, time
app = flask.Flask(__name__)
@app.get("/hello/<name>")
def hello(name):
    return f"hello {name}"
"""


def both(command: list[str], run_dir: Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs it bare and under pillion; they must end alike. The traced one's result."""

    def run(whole: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(whole, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)

    bare = run(command, programs.clean(**variables))
    traced = run(programs.traced(cwd.name, *command), programs.clean(PILLION_RUN_DIR=str(run_dir), **variables))
    assert (traced.returncode, traced.stdout, traced.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    return traced


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name is the service's: one per test."""
    place = tmp_path / f"svc-{os.urandom(4).hex()}"
    place.mkdir()
    return place


def services(collector: Running, name: str) -> list[dict[str, Any]]:
    return traces(collector, f"service={name}")


def test_python_script_keeps_output_and_exit_code(collector: Running, run_dir: Path, folder: Path) -> None:
    (folder / "app.py").write_text(SCRIPT)
    ended = both([sys.executable, "app.py", "-x", "--", "y"], run_dir, folder)
    assert (ended.returncode, "hello" in ended.stdout) == (7, True)
    assert services(collector, folder.name)[0]["root_name"] == "SELECT"


def test_children_of_a_command_are_traced_too(collector: Running, run_dir: Path, folder: Path) -> None:
    (folder / "parent.py").write_text(PARENT)
    both([sys.executable, "parent.py"], run_dir, folder)
    both(["sh", "-c", f'"{sys.executable}" parent.py'], run_dir, folder)
    assert len(traces(collector, f"service={folder.name}", at_least=4)) == 4


def test_the_apps_own_sitecustomize_still_runs(collector: Running, run_dir: Path, folder: Path) -> None:
    (folder / "sitecustomize.py").write_text("import sys; sys.ran = getattr(sys, 'ran', 0) + 1")
    (folder / "app.py").write_text("import sys; print('ran', sys.ran)" + SCRIPT)
    ended = both([sys.executable, "app.py"], run_dir, folder, PYTHONPATH=str(folder))
    assert "ran 1\n" in ended.stdout
    assert services(collector, folder.name)


@pytest.mark.parametrize("how", ["flask run", "python app.py", "gunicorn"])
def test_web_app_is_traced_however_it_is_started(how: str, collector: Running, run_dir: Path, folder: Path) -> None:
    port = free_port()
    (folder / "app.py").write_text(f"{FLASK}\nif __name__ == '__main__':\n    app.run(port={port})\n")
    commands = {
        "flask run": [sys.executable, "-m", "flask", "run", "--port", str(port)],
        "python app.py": [sys.executable, "app.py"],
        "gunicorn": programs.gunicorn(port, "app:app"),
    }
    where = {"PILLION_RUN_DIR": str(run_dir)}
    with programs.serving(programs.traced(folder.name, *commands[how]), port, folder / "log", where, folder) as server:
        assert programs.get(port, "/hello/you") == (200, "hello you")
        assert services(collector, folder.name)[0]["root_name"] == "GET /hello/<name>"
        assert server.end() in (0, -signal.SIGTERM)


def test_without_any_collector_a_program_is_the_same(tmp_path: Path, folder: Path) -> None:
    (folder / "app.py").write_text(SCRIPT)
    both([sys.executable, "app.py"], tmp_path / "nowhere", folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_while_starting_ends_as_the_bare_program(number: signal.Signals, tmp_path: Path, folder: Path) -> None:
    (folder / "app.py").write_text(f"import os, sqlite3\nos.kill(os.getpid(), {int(number)})\nprint('not reached')\n")
    ended = both([sys.executable, "app.py"], tmp_path / "nowhere", folder)
    assert ended.stdout == ""


def test_an_unwritable_run_directory_is_no_concern_of_the_program(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (folder / "app.py").write_text(SCRIPT)
    both([sys.executable, "app.py"], tmp_path / "file" / "run", folder)


def test_import_that_fails_under_a_hook_fails_the_same(tmp_path: Path, folder: Path) -> None:
    (folder / "jinja2").mkdir()
    (folder / "jinja2" / "__init__.py").write_text("import jinja2.environment\n")
    (folder / "jinja2" / "environment.py").write_text("raise RuntimeError('broken on purpose')\n")
    (folder / "app.py").write_text("import jinja2\n")
    ended = both([sys.executable, "app.py"], tmp_path / "nowhere", folder)
    assert "broken on purpose" in ended.stderr
    assert "pillion" not in ended.stderr
