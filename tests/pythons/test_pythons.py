# SPDX-License-Identifier: Apache-2.0
"""The module on each CPython from 3.8 to 3.15 that is on this machine: built, injected, tested.

What is sent goes to a reference server of grpcio, in this process; the interpreter under test needs nothing installed.
An absent version is a skipped test that says so. `make test-pythons` runs this alone.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts import pythons
from tests.support.sink import Sink
from tests.support.traced import clean_environ

HERE = Path(__file__).resolve().parent
SERVER, CLIENT = 2, 3


class Interpreter:
    """One version with its build of the module."""

    def __init__(self, version: str, python: str, site: Path) -> None:
        self.version = version
        self.python = python
        self.site = site

    def run(self, *args: str, boot: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        path = [str(self.site / "pillion" / "boot")] if boot else []
        environment = clean_environ(PYTHONPATH=os.pathsep.join(path), PYTHONDONTWRITEBYTECODE="1", **variables)
        return subprocess.run(
            [self.python, "-W", "error", *args], cwd=HERE, env=environment, capture_output=True, text=True, timeout=100
        )


@pytest.fixture(scope="module", params=pythons.VERSIONS)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Built once for all tests of a version."""
    python, reason = pythons.find(request.param)
    if python is None:
        pytest.skip(reason)
    return Interpreter(request.param, python, pythons.build(request.param, python))


@pytest.mark.timeout(300)  # the first one builds
def test_injected_app_behaves_as_bare_and_its_spans_arrive(interpreter: Interpreter, sink: Sink) -> None:
    bare = interpreter.run("app.py", boot=False)
    traced = interpreter.run("app.py", PILLION_RUN_DIR=str(sink.run_dir), OTEL_SERVICE_NAME="tiny")
    assert (traced.returncode, traced.stdout, traced.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert bare.returncode == 5, bare.stderr
    sink.wait(lambda: len(sink.spans) >= 4)
    spans = sink.spans
    by_kind = {span.kind: span for span in spans if "server.port" in span.attributes}
    client, server = by_kind[CLIENT], by_kind[SERVER]
    queries = [span for span in spans if span.attributes.get("db.system.name") == "sqlite"]
    assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id)
    assert any(query.parent_id == server.span_id for query in queries)
    assert len({span.resource["process.pid"] for span in spans}) == 2, "the fork's child has a process of its own"
    assert {span.resource["service.name"] for span in spans} == {"tiny"}
    assert server.resource["process.runtime.version"].startswith(interpreter.version + ".")
    assert not any("secret" in str(span) for span in spans)


@pytest.mark.timeout(200)
def test_module_keeps_its_promises_inside_the_process(interpreter: Interpreter, sink: Sink) -> None:
    ended = interpreter.run("-m", "unittest", "everywhere", "everywhere_asgi", PILLION_RUN_DIR=str(sink.run_dir))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("inherit", ["0", "1"])
def test_threads_have_the_span_whether_they_inherit_a_context_or_not(
    interpreter: Interpreter, run_dir: Path, inherit: str
) -> None:
    if interpreter.version not in pythons.NEWER:
        pytest.skip("threads inherit a context since CPython 3.14, if they are told to")
    options = ["-X", f"thread_inherit_context={inherit}", "-m", "unittest", "everywhere.ContextTest"]
    ended = interpreter.run(*options, PILLION_RUN_DIR=str(run_dir))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_app_runs_the_same_without_a_collector(interpreter: Interpreter, run_dir: Path) -> None:
    bare = interpreter.run("app.py", boot=False)
    traced = interpreter.run("app.py", PILLION_RUN_DIR=str(run_dir))
    assert (traced.returncode, traced.stdout, traced.stderr) == (bare.returncode, bare.stdout, bare.stderr)
