# SPDX-License-Identifier: Apache-2.0
"""The bundle as a folder: whole, small, the same each time; its code what the sources say, and enough of it at hand."""

from __future__ import annotations

import json
import marshal
import subprocess
import sys
from pathlib import Path

import pytest
from pillion_inject import manifest

from scripts import pythons
from scripts.bundle import __main__ as making
from scripts.bundle import check, code, native, pack
from tests.bundle import guests

pytestmark = pytest.mark.timeout(900)  # the first one builds
LISTED = "import sys; print(*sorted(name for name in sys.modules if name.split('.')[0] == 'pillion'))"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_bundle_is_whole_by_its_manifest_and_at_most_3_mb(bundle: Path) -> None:
    found = files(bundle)
    described = manifest.parse(found.pop(manifest.NAME))
    assert described.pythons == pythons.VERSIONS
    assert described.arches == tuple(sorted(native.ARCHES))
    assert {file.path: file.bytes for file in described.files} == {name: len(data) for name, data in found.items()}
    assert described.total < check.LIMIT_BYTES
    assert "rules.conf" in found


def test_no_other_package_than_ours_is_within(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir() if path.is_dir()} == {*native.ARCHES, "pillion"}


def test_the_same_sources_give_the_same_bytes(bundle: Path, tmp_path: Path, versions: tuple[str, ...]) -> None:
    again = tmp_path / "elsewhere" / "again"
    command = [sys.executable, "-m", "scripts.bundle", "--out", str(again), *versions]
    ended = subprocess.run(command, cwd=guests.ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    first, second = files(bundle), files(again)
    del first[manifest.NAME], second[manifest.NAME]  # the versions differ
    assert {name: first.get(name) == data for name, data in second.items()} == dict.fromkeys(second, True)


def test_a_missing_interpreter_is_named_with_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.bundle", "--out", str(tmp_path / "none"), "3.11", "3.7"]
    ended = subprocess.run(command, cwd=guests.ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "CPython 3.7" in ended.stderr
    assert 'make bundle PYTHONS="3.11"' in ended.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_a_bare_start_imports_what_is_packed_for_it(bundle: Path, run_dir: Path, version: str) -> None:
    ended = guests.here(version).run(bundle, "-c", LISTED, PILLION_RUN_DIR=str(run_dir))
    started = {f"pillion.{name.replace('/__init__', '')}" for name in code.START}
    imported = {name for name in ended.stdout.split() if not name.startswith("pillion.hooks.")}
    assert imported == {"pillion", "pillion._native"} | started, ended.stderr


@pytest.mark.parametrize("size", [0, 1, 4, 12, 13, 100, 70000, 200000])
def test_what_is_packed_unpacks_to_the_same(size: int) -> None:
    from pillion import _native

    text = (json.dumps(making.REMEDY) * (size // 100 + 1)).encode()[:size]
    mixed = bytes(byte ^ (at // 97 & 3) for at, byte in enumerate(text))
    for data in (text, mixed, bytes(size)):
        assert _native.unpack(pack.pack(data), size) == data


def test_a_library_that_is_cut_off_is_not_mapped(bundle: Path, tmp_path: Path, run_dir: Path) -> None:
    import shutil

    guest, cut = guests.here("3.11"), tmp_path / "cut"
    shutil.copytree(bundle, cut)
    library = cut / "x86_64" / native.CORE
    library.write_bytes(library.read_bytes()[:-4096])
    ended = guest.run(cut, "-c", "print(1)", PILLION_RUN_DIR=str(run_dir))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
    (record,) = [json.loads(path.read_text()) for path in (run_dir / "processes").iterdir()]
    assert record["decision"] == "not"
    assert "is not whole" in record["reason"]


def test_code_is_of_its_own_python_alone(bundle: Path) -> None:
    magics = {path.name: path.read_bytes()[:4] for path in (bundle / "pillion" / "code").iterdir()}
    assert len(set(magics.values())) == len(magics) == len(pythons.VERSIONS)
    data = (bundle / "pillion" / "code" / "cp311").read_bytes()
    sizes, blocks, modules = marshal.loads(data[8:])
    assert set(sizes) == set(native.ARCHES)
    assert set(blocks) == {"start", "rest"}
    assert set(modules) >= {"pillion.start", "pillion.hooks", "pillion.hooks.flask"}
