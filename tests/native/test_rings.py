# SPDX-License-Identifier: Apache-2.0
"""The collector reads the rings of living, killed and hostile processes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from pillion_collector import rings

from tests.native.build import tool
from tests.native.spans_peer import PARENT, TRACE, Wanted, hexed

HEADER = 4096 + 16384 + 65536 + 65536  # bytes before the first segment


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


@contextmanager
def writer(folder: Path, lines: list[str]) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that recorded this and lives on, with the path of its ring."""
    command = [str(tool("tool_spans")), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin and process.stdout
        process.stdin.write("".join(line + "\n" for line in [*lines, "where"]))
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def spans(ring: rings.Ring) -> list[str]:
    found = [ExportTraceServiceRequest.FromString(body) for body in (batch.body for batch in ring.batches)]
    scopes = [scope for one in found for resource in one.resource_spans for scope in resource.scope_spans]
    return [span.name for scope in scopes for span in scope.spans]


def test_ring_of_a_living_process_tells_who_it_is_and_what_it_holds(folder: Path) -> None:
    lines = [line for i in range(3000) for line in Wanted(name=f"n{i}", scope="one").script()]
    with writer(folder, [*lines, "count 3 7"]) as (process, path):
        ring = rings.read(path)
        assert rings.owner_alive(path)
        assert ring.pid == process.pid and path.name == f"{process.pid}-{ring.start_ticks}.ring"
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        assert ring.start_ticks == int(stat[19])
        assert Resource.FromString(ring.resource).attributes[0].value.string_value == "test"
        assert ring.counters["recorded"] == 3000 and ring.counters["dropped_full"] == 7
        assert spans(ring) == [f"n{i}" for i in range(3000)] and ring.skipped == 0
        assert len(ring.batches) == 2


def test_ring_of_a_killed_process_gives_all_its_spans_and_what_it_was_doing(folder: Path) -> None:
    begun = [
        f"parent {TRACE.hex()} {PARENT.hex()} 1 0 -",
        f"begin 2 @{hexed('GET /slow')} - 5",
        f"flight {hexed('why: ü')}",
    ]
    with writer(folder, [*Wanted(name="done").script(), *begun]) as (process, path):
        assert rings.owner_alive(path)
        process.kill()
        process.wait()
        assert not rings.owner_alive(path)
        ring = rings.read(path)
        assert spans(ring) == ["done"]
        (flight,) = ring.flights
        assert (flight.name, flight.detail, flight.kind, flight.start_ns) == ("GET /slow", "why: ü", 2, 5)
        assert flight.trace_id == TRACE.hex() and len(bytes.fromhex(flight.span_id)) == 8


def test_process_that_ends_with_all_sent_leaves_no_file_and_with_spans_left_leaves_them(folder: Path) -> None:
    command = [str(tool("tool_spans")), str(folder)]
    script = "".join(line + "\n" for line in Wanted(name="left").script())
    subprocess.run(command, input=(script + "drain 100000\n").encode(), check=True, capture_output=True)
    assert list(folder.iterdir()) == []
    subprocess.run(command, input=script.encode(), check=True, capture_output=True)
    (path,) = folder.iterdir()
    assert spans(rings.read(path)) == ["left"]


def test_reading_changes_nothing(folder: Path) -> None:
    with writer(folder, Wanted(name="kept").script()) as (_, path):
        before = path.read_bytes()
        assert spans(rings.read(path)) == spans(rings.read(path)) == ["kept"]
        assert path.read_bytes() == before


def test_peek_reads_the_header_only(folder: Path) -> None:
    with writer(folder, Wanted().script()) as (_, path):
        ring = rings.peek(path)
        assert ring.batches == [] and ring.counters["recorded"] == 1 and ring.resource


@pytest.mark.parametrize("size", [0, 1, 8, 4096, HEADER - 1, 64 << 20])
def test_file_that_is_no_ring_is_refused(folder: Path, size: int) -> None:
    path = folder / "1-1.ring"
    with path.open("wb") as file:
        file.truncate(size)
    with pytest.raises(rings.RingError, match="not a ring"):
        rings.read(path)
    with pytest.raises(rings.RingError):
        rings.peek(path)


def test_newer_layout_is_refused_by_name(folder: Path) -> None:
    with writer(folder, []) as (_, path):
        copy = folder / "2-2.ring"
        copy.write_bytes(path.read_bytes()[:8] + b"\xff" + path.read_bytes()[9:])
        with pytest.raises(rings.RingError, match="layout version"):
            rings.read(copy)


def test_missing_file_link_directory_and_fifo_are_refused(folder: Path) -> None:
    for name in ("missing", "link", "directory", "fifo"):
        path = folder / name
        if name == "link":
            path.symlink_to("/etc/passwd")
        elif name == "directory":
            path.mkdir()
        elif name == "fifo":
            os.mkfifo(path)
        with pytest.raises(rings.RingError, match=name):
            rings.read(path)
        with pytest.raises(rings.RingError, match=name):
            rings.owner_alive(path)


def test_ring_cut_by_its_owner_is_read_as_far_as_it_goes(folder: Path) -> None:
    with writer(folder, [line for i in range(900) for line in Wanted(attributes={"k": "v" * 500}).script()]) as (
        _,
        path,
    ):
        os.truncate(path, HEADER + 262144 + 5000)
        assert 300 < len(spans(rings.read(path))) < 500


def test_full_tmpfs_refuses_a_ring_instead_of_killing_the_process_later(folder: Path) -> None:
    """In a mount namespace of its own; what then happens is checked by test_ring_file.c."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare (package util-linux)")
    enter = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    program = tool("test_ring_file")
    small = folder / "small"
    small.mkdir()
    script = f"mount -t tmpfs -o size=4m tmpfs {small} || exit 77; PILLION_SMALL_TMPFS={small} exec {program}"
    ended = subprocess.run([*enter, "sh", "-c", script], capture_output=True, text=True, timeout=60)
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip(f"needs a mount namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
