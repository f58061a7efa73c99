# SPDX-License-Identifier: Apache-2.0
"""Settings of `pillion up`: where each comes from, and that every wrong one is named with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pillion_collector import Trouble, settings
from pillion_collector.settings import Address, Settings

RUN = Path("/run/pillion")


def resolve(flags: dict[str, str | None] | None = None, environ: dict[str, str] | None = None) -> Settings:
    return settings.resolve(flags or {}, {"HOME": "/home/rider", **(environ or {})}, RUN)


def test_everything_listens_on_loopback_unless_told_otherwise() -> None:
    found = resolve()
    assert (found.grpc, found.http) == (Address("127.0.0.1", 4317), Address("127.0.0.1", 4320))
    assert found.socket == RUN / "pillion.sock"
    assert (found.retention_age_s, found.retention_bytes) == (7 * 86400, 5 * 10**9)


def test_a_flag_beats_the_environment_and_the_environment_beats_the_default() -> None:
    environ = {"PILLION_GRPC": "127.0.0.1:5001", "PILLION_HTTP": "127.0.0.1:5002", "PILLION_RETENTION_AGE": "36h"}
    found = resolve({"grpc": "127.0.0.1:6001", "http": None}, environ)
    assert (found.grpc.port, found.http.port, found.retention_age_s) == (6001, 5002, 36 * 3600)


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert resolve(environ={"PILLION_GRPC": "", "PILLION_DATA": ""}).grpc.port == 4317


def test_data_lies_in_the_users_data_folder_and_for_root_in_var_lib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert resolve().data == Path("/home/rider/.local/share/pillion")
    assert resolve(environ={"XDG_DATA_HOME": "/data"}).data == Path("/data/pillion")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert resolve().data == Path("/var/lib/pillion")


def test_a_socket_may_be_written_as_grpc_writes_it() -> None:
    assert resolve({"socket": "unix:/tmp/a.sock"}).socket == Path("/tmp/a.sock")
    assert resolve({"socket": "unix:///tmp/a.sock"}).socket == Path("/tmp/a.sock")


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert resolve({"grpc": "[::1]:0"}).grpc == Address("::1", 0)
    assert str(Address("::1", 4317)) == "[::1]:4317"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5h", 5400), ("7d", 604800), ("2w", 1209600), (" 5 min ", 300)]
)
def test_ages_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert resolve({"retention_age": text}).retention_age_s == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("5GB", 5 * 10**9), ("5GiB", 5 << 30), ("500 mb", 5 * 10**8), ("0.5k", 500)]
)
def test_sizes_are_read_with_their_unit(text: str, size: int) -> None:
    assert resolve({"retention_bytes": text}).retention_bytes == size


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("grpc", text)
            for text in ("4317", "127.0.0.1", "127.0.0.1:", ":4317", "127.0.0.1:65536", "::1:4317", "a b:1")
        ),
        *(("http", text) for text in ("127.0.0.1:-1", "http://127.0.0.1:80", "127.0.0.1:4320/", "127.0.0.1:\u0664")),
        *(("retention_age", text) for text in ("0", "-1d", "7y", "d", "1e3d", "inf", "nan", "7d7h")),
        *(("retention_bytes", text) for text in ("0", "0.1b", "five", "5 XB", "-5GB")),
        *(("shared", text) for text in ("maybe", "2", "truefalse")),
        *(("data", text) for text in ("a\0b",)),
        *(("socket", text) for text in ("/" + "x" * 107, "unix:" + "/é" * 60)),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_flag_its_variable_and_a_remedy(name: str, value: str) -> None:
    with pytest.raises(Trouble) as caught:
        resolve({name: value})
    text = str(caught.value)
    assert caught.value.code == 2
    assert text.startswith(f"--{name.replace('_', '-')} (PILLION_{name.upper()}) ")
    assert "; " in text and "\n" not in text and "\0" not in text


def test_a_socket_of_exactly_the_longest_path_is_fine() -> None:
    assert resolve({"socket": "/" + "x" * 106}).socket == Path("/" + "x" * 106)


@pytest.mark.parametrize(
    ("text", "shared"), [("true", True), ("1", True), (" ON ", True), ("false", False), ("", False)]
)
def test_the_run_directory_is_shared_only_when_that_is_said(text: str, shared: bool) -> None:
    assert resolve(environ={"PILLION_SHARED": text}).shared is shared
    assert resolve({"shared": "true"}).shared and not resolve().shared
