# SPDX-License-Identifier: Apache-2.0
"""What `pillion install` refuses: one line with the setting and the remedy, an exit code of its own, no change."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pillion_inject import CODES, manifest

from tests.inject.conftest import Bundle, Said, command, install, snapshot
from tests.support.traced import AGENT, clean_environ

Make = Callable[..., Bundle]
SHA = "0" * 64
ROOT = Path(__file__).resolve().parents[2]


def refused(said: Said, code: int, *texts: str) -> None:
    """One line on stderr with these texts, nothing on stdout."""
    assert (said.code, said.out) == (code, ""), said
    assert said.err.startswith("pillion install: ") and said.err.count("\n") == 1, said.err
    for text in texts:
        assert text in said.err, said.err


def entry(path: str) -> Callable[[dict[str, Any]], object]:
    return lambda made: made["files"].update({path: {"sha256": SHA, "bytes": 1, "mode": "0644"}})


def field(path: str, key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda made: made["files"][path].update({key: value})


RULES = "rules.conf"
MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a version that leaves the target": lambda made: made.update(version="../x"),
    "a version that is a path": lambda made: made.update(version="1/2"),
    "a version that is the link": lambda made: made.update(version="current"),
    "a version that is hidden": lambda made: made.update(version=".1"),
    "a version with a line break": lambda made: made.update(version="1\n2"),
    "an empty version": lambda made: made.update(version=""),
    "an endless version": lambda made: made.update(version="1" * 65),
    "a version that is a number": lambda made: made.update(version=1),
    "no version": lambda made: made.pop("version"),
    "an absolute path": entry("/etc/passwd"),
    "a path that leaves the bundle": entry("pillion/../../x"),
    "a path with an empty part": entry("pillion//x"),
    "a path that is a folder's": entry("pillion/"),
    "a path through a dot": entry("./x"),
    "a hidden path": entry("pillion/.x"),
    "an empty path": entry(""),
    "a path with a zero": entry("a\0b"),
    "a path with a backslash": entry("a\\b"),
    "a path of too many parts": entry("a/" * 12 + "a"),
    "the manifest itself": entry("manifest.json"),
    "the library's link": entry("libpillion.so"),
    "a file as a folder": entry("rules.conf/x"),
    "no files": lambda made: made.update(files={}),
    "files that are a list": lambda made: made.update(files=["x"]),
    "a checksum that is none": field(RULES, "sha256", "xyz"),
    "a checksum in capitals": field(RULES, "sha256", "A" * 64),
    "no size": field(RULES, "bytes", None),
    "a size below nothing": field(RULES, "bytes", -1),
    "a size that is true": field(RULES, "bytes", True),
    "a huge size": field(RULES, "bytes", 1 << 40),
    "a set-user-id mode": field(RULES, "mode", "4755"),
    "a mode that is a number": field(RULES, "mode", 420),
    "nothing said of a file": lambda made: made["files"].update({RULES: None}),
    "no arches": lambda made: made.pop("arches"),
    "an arch that is a path": lambda made: made.update(arches=["../x86_64"]),
    "an arch without a library": lambda made: made.update(arches=["riscv64"]),
    "a Python that is none": lambda made: made.update(pythons=[{}]),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_asks_for_more_than_a_folder_is_refused(bundle: Make, target: Path, what: str) -> None:
    made = bundle().rewrite(MANIFESTS[what])
    refused(
        install("--to", target, "--from", made.path), 3, f"--from {made.path}: manifest.json ", ": get the bundle anew"
    )
    assert not target.exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"version": "0.1.0"}', b"null"])
def test_a_manifest_that_is_none_is_refused(bundle: Make, target: Path, text: bytes) -> None:
    made = bundle()
    (made.path / "manifest.json").write_bytes(text)
    refused(install("--to", target, "--from", made.path), 3, f"--from {made.path}: manifest.json ")


def test_every_beginning_of_a_manifest_is_refused(bundle: Make) -> None:
    text = (bundle().path / "manifest.json").read_bytes()
    assert manifest.parse(text).version == "0.1.0"
    for end in range(len(text.rstrip())):
        with pytest.raises(ValueError):
            manifest.parse(text[:end])


def link(path: Path, end: str | Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(end)


TORN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing file": (lambda at: (at / RULES).unlink(), "rules.conf: is missing"),
    "a missing folder": (lambda at: shutil.rmtree(at / "pillion"), "pillion/__init__.py: is missing"),
    "a shorter file": (lambda at: (at / RULES).write_bytes(b"#"), "rules.conf: has less than 8 bytes"),
    "a longer file": (lambda at: (at / RULES).write_bytes(b"# rules\n\n"), "rules.conf: has more than 8 bytes"),
    "other content": (lambda at: (at / RULES).write_bytes(b"# ruled\n"), "rules.conf: has the wrong checksum"),
    "a link": (lambda at: link(at / RULES, "/etc/hostname"), "rules.conf: is no plain file"),
    "a link to a folder": (lambda at: link(at / "pillion", "/etc"), "pillion/__init__.py: is no plain file below"),
    "a pipe": (lambda at: ((at / RULES).unlink(), os.mkfifo(at / RULES)), "rules.conf: is no plain file"),  # type: ignore[func-returns-value]
    "a folder": (lambda at: ((at / RULES).unlink(), (at / RULES).mkdir()), "rules.conf: is no plain file"),  # type: ignore[func-returns-value]
    "no manifest": (lambda at: (at / "manifest.json").unlink(), "manifest.json: is missing"),
    "a linked manifest": (lambda at: link(at / "manifest.json", "/etc/hostname"), "manifest.json: is no plain file"),
    "a huge manifest": (lambda at: (at / "manifest.json").write_bytes(bytes(1 << 21)), "manifest.json: has more than"),
}


@pytest.mark.parametrize("what", TORN)
def test_a_torn_bundle_is_refused_and_what_is_there_stays(bundle: Make, target: Path, what: str) -> None:
    install("--to", target, "--from", bundle("0.1.0").path)
    before = snapshot(target)
    made = bundle("0.2.0")
    tear, why = TORN[what]
    tear(made.path)
    refused(install("--to", target, "--from", made.path), 3, f"--from {made.path}: {why}")
    assert snapshot(target) == before


def test_a_bundle_that_is_not_there_or_no_folder(bundle: Make, target: Path, tmp_path: Path) -> None:
    refused(install("--to", target, "--from", tmp_path / "none"), 3, "--from ", "No such file or directory: name the")
    (tmp_path / "file").touch()
    refused(install("--to", target, "--from", tmp_path / "file"), 3, "--from ", "Not a directory: name the")
    refused(
        install("--to", target, "--from", tmp_path), 3, "manifest.json: is missing: name the folder of a whole bundle"
    )
    refused(install("--to", target), 2, "--from: name the folder of a bundle")


def test_a_target_of_somebody_else_is_refused(bundle: Make, tmp_path: Path) -> None:
    made = bundle()
    foreign = tmp_path / "usr"
    (foreign / "bin").mkdir(parents=True)
    refused(
        install("--to", foreign, "--from", made.path),
        6,
        f"--to {foreign}: holds other things (bin)",
        f"{foreign}/pillion",
    )
    assert os.listdir(foreign) == ["bin"]
    (foreign / "file").touch()
    refused(install("--to", foreign / "file", "--from", made.path), 6, "Not a directory: name a folder")
    refused(install("--to", foreign / "file" / "x", "--from", made.path), 6, "Not a directory: name a folder")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(install("--to", loop, "--from", made.path), 6, f"--to {loop}: ")


def test_what_a_volume_has_of_itself_is_nobody_elses(bundle: Make, target: Path) -> None:
    for name in ("lost+found", ".snapshot"):
        (target / name).mkdir(parents=True)
    assert install("--to", target, "--from", bundle().path).code == 0


def test_a_name_that_is_taken_by_something_else_is_refused(bundle: Make, target: Path) -> None:
    made = bundle("0.1.0")
    (target / "current").mkdir(parents=True)
    refused(
        install("--to", target, "--from", made.path), 6, f"--to {target}: current is there and no link: move it away"
    )
    (target / "current").rmdir()
    (target / "0.2.0").write_text("a file")
    refused(install("--to", target, "--from", bundle("0.2.0").path), 6, "0.2.0 is there and no folder: move it away")
    (target / "0.3.0").symlink_to("/etc")
    refused(install("--to", target, "--from", bundle("0.3.0").path), 6, "0.3.0 is there and no folder: move it away")
    assert sorted(os.listdir("/etc")) and not Path("/etc/manifest.json").exists()


INSIDE = ["unshare", "-rm", "sh", "-c"]  # a mount namespace of its own, as any user


def test_a_read_only_target_is_one_line(bundle: Make, target: Path) -> None:
    target.mkdir(parents=True)
    script = f'mount -t tmpfs -o ro none {target} && exec "$@"'
    said = command("--to", target, "--from", bundle().path, before=[*INSIDE, script, "sh"])
    refused(said, 4, f"--to {target}: Read-only file system: mount this one folder writable")


def test_a_full_target_is_one_line_and_nothing_is_left(bundle: Make, target: Path) -> None:
    install("--to", target, "--from", bundle("0.1.0").path)  # makes the folder
    mount = f"mount -t tmpfs -o size=200k none {target.parent} && mkdir -m 755 {target}"
    script = f'{mount} && "$@"; code=$?; ls -A {target}; exit $code'
    made = bundle("0.2.0")
    said = command("--to", target, "--from", made.path, before=[*INSIDE, script, "sh"])
    refused(said, 5, f"--to {target}: No space left on device: make room")


AS_NOBODY = """
import gettext, locale, os, shutil, sys  # now: as nobody it may not be able to
from pillion_inject import install_cli
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(install_cli.main(sys.argv[1:]))
"""


def test_a_target_that_belongs_to_others_is_one_line(bundle: Make) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to be somebody else")

    def nobody() -> Said:
        line = [sys.executable, "-c", AS_NOBODY, "--to", str(target), "--from", str(place / "bundle")]
        ended = subprocess.run(line, env=clean_environ(PYTHONPATH=str(AGENT)), capture_output=True, text=True)
        return Said(ended.returncode, ended.stdout, ended.stderr)

    with tempfile.TemporaryDirectory(prefix="install-", dir="/tmp") as folder:  # pytest's own are its user's alone
        place, target = Path(folder), Path(folder) / "pillion"
        place.chmod(0o755)
        shutil.copytree(bundle().path, place / "bundle")
        target.mkdir()
        refused(nobody(), 4, f"--to {target}: Permission denied for uid 65534: make the folder writable for it")
        target.chmod(0o777)
        said = nobody()
        assert said.code == 0
        assert f"note: {target} is writable by every user: mount it read-only where applications run" in said.out
        target.chmod(0o700)
        said = install("--to", target, "--from", place / "bundle")
        assert said.code == 0 and "can't be read by every user (mode 0700)" in said.out


@pytest.mark.parametrize("option", ["--use", "--remove"])
@pytest.mark.parametrize("name", ["0.9.0", "../x", "current", "rules.conf", "", ".", "0.1.0/pillion", "/etc"])
def test_a_version_that_is_not_there_is_refused(bundle: Make, target: Path, option: str, name: str) -> None:
    install("--to", target, "--from", bundle("0.1.0").path)
    install("--to", target, "--from", bundle("0.2.0").path)
    (target / "rules.conf").touch()
    before = snapshot(target)
    said = install("--to", target, option, name)
    refused(said, 7, f"{option} {name!r}: no such version in {target}: there are 0.1.0, 0.2.0")
    assert snapshot(target) == before


def test_wrong_usage_is_one_line(bundle: Make, target: Path) -> None:
    made = bundle()
    refused(install(), 2, "the following arguments are required: --to")
    refused(install("--to", ""), 2, "--to: is empty: name the folder")
    refused(install("--to", target, "--frobnicate"), 2, "unrecognized arguments: --frobnicate")
    refused(install("--to", target, "--use", "0.1.0", "--remove", "0.1.0"), 2, "not allowed with")
    refused(install("--to", target, "--use", "0.1.0", "--from", made.path), 2, "--from: makes no sense with --use")
    refused(install("--to", target, "--list"), 6, f"--to {target}: No such file or directory: name a folder")
    assert not target.exists()


def test_json_tells_trouble_too(target: Path, tmp_path: Path) -> None:
    said = install("--to", target, "--from", tmp_path, "--json")
    assert said.code == said.json["code"] == 3
    assert said.err == f"pillion install: {said.json['error']}\n"


def test_help_lists_every_exit_code() -> None:
    said = install("--help")
    assert (said.code, said.err) == (0, "")
    for code, text in CODES.items():
        assert f"  {code}  {text}\n" in said.out


def test_the_documented_exit_codes_are_those_there_are() -> None:
    text = (ROOT / "docs/install.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", text, re.M)
    assert rows == [("0", "done, or there was nothing to do"), *((str(code), said) for code, said in CODES.items())]
