# SPDX-License-Identifier: Apache-2.0
"""`pillion up` as a user meets it: one ready line, a clean end, and one clear line for everything that is wrong."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.collector.conftest import DEADLINE_S, Running, Start, eventually, spawn


def fails(arguments: list[str], environ: dict[str, str]) -> tuple[int, str]:
    """Exit code and stderr of a start that must not succeed; stdout stays empty."""
    process = spawn(["up", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments], environ)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert out == b""
    return process.returncode, err.decode()


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """A run directory and a data folder that a failing start may use."""
    with tempfile.TemporaryDirectory(prefix="pln-") as folder:
        yield {"PILLION_RUN_DIR": f"{folder}/run", "PILLION_DATA": f"{folder}/data"}


def one_line(text: str, *parts: str) -> None:
    assert text.startswith("pillion up: ") and text.endswith("\n") and text.count("\n") == 1, text
    for part in parts:
        assert part in text, text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_line_says_ready_and_a_signal_ends_it_cleanly(environ: dict[str, str], number: int) -> None:
    process = spawn(["up", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"], environ)
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    run_dir, data = re.escape(environ["PILLION_RUN_DIR"]), re.escape(environ["PILLION_DATA"])
    match = re.fullmatch(
        rf"pillion is up: UI (http://127\.0\.0\.1:[1-9]\d*) · OTLP 127\.0\.0\.1:[1-9]\d* and"
        rf" unix:{run_dir}/pillion\.sock · data {data}\n",
        line,
    )
    assert match, line
    with urllib.request.urlopen(match[1] + "/healthz", timeout=DEADLINE_S) as answer:
        assert answer.read() == b'{"status":"ok"}'
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert sorted(os.listdir(environ["PILLION_RUN_DIR"])) == ["guard", "processes", "rings"]


def test_it_ends_though_a_browser_listens_live_and_a_request_is_half_sent(collector: Running) -> None:
    with (
        urllib.request.urlopen(collector.ui + "/api/live", timeout=DEADLINE_S) as stream,
        socket.create_connection(("127.0.0.1", int(collector.ui.rpartition(":")[2]))) as half,
    ):
        stream.readline()
        half.sendall(b"GET /api/st")
        assert collector.stop() == (0, "")


def test_everything_it_listens_on_is_loopback_or_unix_and_private(collector: Running) -> None:
    assert collector.socket.stat().st_mode & 0o777 == 0o600
    assert collector.run_dir.stat().st_mode & 0o777 == 0o700
    assert collector.data.stat().st_mode & 0o777 == 0o700
    listening = [
        one.laddr for one in psutil.Process(collector.process.pid).net_connections("tcp") if one.status == "LISTEN"
    ]
    assert len(listening) == 2 and all(one.ip.endswith("127.0.0.1") for one in listening)


def test_the_environment_sets_what_the_flags_do_not(environ: dict[str, str]) -> None:
    code, err = fails(
        ["--retention-age", "1d"], {**environ, "PILLION_RETENTION_BYTES": "lots", "PILLION_RETENTION_AGE": "x"}
    )
    assert code == 2
    one_line(err, "--retention-bytes (PILLION_RETENTION_BYTES) lots: ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--grpc", "nonsense"], "--grpc (PILLION_GRPC) nonsense: not HOST:PORT"),
        (["--http", "no.such.host.invalid:0"], "--http (PILLION_HTTP) no.such.host.invalid:0: no such host"),
        (["--retention-age", "0"], "--retention-age (PILLION_RETENTION_AGE) 0: "),
        (["--socket", "/tmp/" + "x" * 120], "longer than the 107 bytes"),
        (["--colour"], "unrecognized arguments: --colour; see `pillion up --help`"),
        (["--data"], "expected one argument"),
    ],
)
def test_wrong_usage_and_settings_are_one_line_and_exit_code_2(
    environ: dict[str, str], arguments: list[str], named: str
) -> None:
    code, err = fails(arguments, environ)
    assert code == 2
    assert named in err and err.count("\n") == 1


def test_an_address_of_another_machine_is_named(environ: dict[str, str]) -> None:
    for flag in ("--grpc", "--http"):
        code, err = fails([flag, "192.0.2.1:0"], environ)
        assert code == 1
        one_line(err, f"{flag} (PILLION_{flag[2:].upper()}) 192.0.2.1:0: ", "give an address of this machine")


@pytest.mark.parametrize("flag", ["--grpc", "--http"])
def test_a_port_in_use_is_named(environ: dict[str, str], flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, err = fails([flag, address], environ)
    assert code == 1
    one_line(err, f"{flag} (PILLION_{flag[2:].upper()}) {address}: address already in use; stop the program")


def test_a_port_of_another_collector_is_not_shared_in_silence(collector: Running, environ: dict[str, str]) -> None:
    code, err = fails(["--grpc", collector.grpc], environ)
    assert code == 1
    one_line(err, "--grpc", "address already in use")


def test_a_live_collectors_socket_is_not_taken_away(collector: Running, environ: dict[str, str]) -> None:
    code, err = fails(["--socket", str(collector.socket)], environ)
    assert code == 1
    one_line(err, f"--socket (PILLION_SOCKET) {collector.socket}: another collector is running there; ")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(collector.socket))


def test_a_live_collectors_data_is_not_shared(collector: Running, environ: dict[str, str]) -> None:
    code, err = fails(["--data", str(collector.data)], environ)
    assert code == 1
    one_line(err, f"--data (PILLION_DATA) {collector.data}: ")


def test_a_socket_that_nobody_listens_on_is_replaced(start: Start) -> None:
    first = start()
    first.process.kill()
    first.process.wait()
    assert first.socket.exists()
    second = start()
    assert second.socket == first.socket
    assert second.stop() == (0, "") and not second.socket.exists()


def test_a_file_in_the_place_of_the_socket_is_left_alone(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    code, err = fails(["--socket", str(path)], environ)
    assert code == 1 and path.read_text() == "mine"
    one_line(err, f"--socket (PILLION_SOCKET) {path}: a file that is no socket lies there; ")


@pytest.mark.parametrize("where", ["data", "run", "socket"])
def test_a_folder_that_cannot_be_written_is_named(environ: dict[str, str], where: str) -> None:
    bad = Path("/proc/pillion")
    change = {
        "data": {"PILLION_DATA": str(bad)},
        "run": {"PILLION_RUN_DIR": str(bad)},
        "socket": {"PILLION_SOCKET": f"{bad}/s"},
    }
    code, err = fails([], {**environ, **change[where]})
    assert code == 1
    one_line(err, str(bad), {"data": "PILLION_DATA", "run": "PILLION_RUN_DIR", "socket": "PILLION_SOCKET"}[where])


def test_a_file_in_the_place_of_the_data_folder_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, err = fails(["--data", str(tmp_path / "file")], environ)
    assert code == 1
    one_line(err, f"--data (PILLION_DATA) {tmp_path}/file: ")


def test_a_reader_that_went_away_does_not_stop_it(environ: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = spawn(["up", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"], environ, stdout=writer)
    os.close(writer)
    path = Path(environ["PILLION_RUN_DIR"]) / "pillion.sock"
    assert eventually(path.exists)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.terminate()
    assert process.wait(DEADLINE_S) == 0


def test_a_container_may_listen_on_every_address_and_is_told_that_nobody_is_asked_who_he_is(start: Start) -> None:
    """As behind a port that is published on the node's loopback address: the browser says localhost."""
    collector = start("--http", "0.0.0.0:0")
    port = collector.ui.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "172.17.0.2", socket.gethostname()):
        assert collector.fetch("/healthz", Host=f"{host}:{port}")[0] == 200
    for host in ("evil.example", "collector.evil.example", ""):
        assert collector.fetch("/healthz", Host=f"{host}:{port}")[0] == 403
    code, said = collector.stop()
    assert code == 0 and said.count("no authentication") == 1 and len(said.splitlines()) == 1
