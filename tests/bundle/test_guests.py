# SPDX-License-Identifier: Apache-2.0
"""One bundle under every interpreter: the application behaves as without it, and its spans arrive.

The programs are those of tests/pythons. An interpreter that isn't here is a skipped test that says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import pythons
from tests.bundle import guests
from tests.bundle.guests import Guest
from tests.support.sink import Sink

SERVER, CLIENT = 2, 3
ALL: dict[str, Callable[[], Guest]] = {
    **{version: (lambda version=version: guests.here(version)) for version in pythons.VERSIONS},  # type: ignore[misc]
    "glibc 2.31": guests.old_glibc,
    "musl": guests.musl,
    "aarch64": guests.aarch64,
}


@pytest.fixture(params=ALL)
def guest(request: pytest.FixtureRequest) -> Guest:
    return ALL[request.param]()


@pytest.mark.timeout(900)  # the first one builds
def test_injected_app_behaves_as_bare_and_its_spans_arrive(bundle: Path, guest: Guest, sink: Sink) -> None:
    bare = guest.run(None, "app.py")
    traced = guest.run(bundle, "app.py", PILLION_RUN_DIR=str(sink.run_dir), OTEL_SERVICE_NAME="tiny")
    assert (traced.returncode, traced.stdout, traced.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert bare.returncode == 5, bare.stderr
    with_sqlite = guest.run(None, "-c", "import sqlite3").returncode == 0
    sink.wait(lambda: len(sink.spans) >= (4 if with_sqlite else 2))
    by_kind = {span.kind: span for span in sink.spans if "server.port" in span.attributes}
    client, server = by_kind[CLIENT], by_kind[SERVER]
    queries = [span for span in sink.spans if span.attributes.get("db.system.name") == "sqlite"]
    assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id)
    if with_sqlite:
        assert any(query.parent_id == server.span_id for query in queries)
        assert len({span.resource["process.pid"] for span in sink.spans}) == 2, "the fork's child is one of its own"
    assert server.resource["process.runtime.version"].startswith(guest.version + ".")


@pytest.mark.timeout(900)
def test_module_keeps_its_promises_inside_the_process(bundle: Path, guest: Guest, sink: Sink) -> None:
    names = ["everywhere"]
    if guest.emulated:  # what it starts would be programs of the machine's own
        names = [f"everywhere.{name}" for name in ("SpanTest", "ContextTest", "HookTest")]
    ended = guest.run(bundle, "-m", "unittest", *names, PILLION_RUN_DIR=str(sink.run_dir))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.timeout(900)
def test_every_module_of_the_bundle_can_be_imported(bundle: Path, guest: Guest, run_dir: Path) -> None:
    code = (
        "import importlib, json, sys\n"
        "finder = sys.path_importer_cache[sys.modules['pillion'].__path__[0]]\n"
        "for name in sorted(finder.modules):\n"
        "    importlib.import_module(name)\n"
        "from pillion import _native\n"
        "print(json.dumps([len(finder.modules), _native.__file__, sys.modules['pillion.patch'].__file__]))\n"
    )
    ended = guest.run(bundle, "-c", code, PILLION_RUN_DIR=str(run_dir))
    assert ended.returncode == 0, ended.stderr
    count, native, patch = json.loads(ended.stdout)
    assert count >= 20
    assert native == str(bundle / guest.arch / f"cp{guest.version.replace('.', '')}" / "_native.so")
    assert patch == str(bundle / "pillion" / "patch.py")
