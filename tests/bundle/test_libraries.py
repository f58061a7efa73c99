# SPDX-License-Identifier: Apache-2.0
"""What the bundle's libraries ask of a system, against what glibc 2.17 and musl have."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from scripts.bundle import check, elf, native
from tests.bundle import guests

DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.timeout(900)  # the first one builds the bundle
arches = pytest.mark.parametrize("arch", native.ARCHES)


def exported(library: Path) -> set[str]:
    return {symbol.name for symbol in elf.Elf(library.read_bytes()).symbols() if symbol.defined}


def compiler(arch: str, libc: str) -> list[str]:
    pytest.importorskip("ziglang", reason="no ziglang in this environment: make bundle")
    return [native.zig(), "cc", "-target", f"{arch}-linux-{libc}"]


def musl(arch: str) -> Path:
    return guests.unpacked("musl", DEBIAN[arch], "musl", suite="bookworm") / "lib" / f"ld-musl-{arch}.so.1"


def test_libraries_need_libc_alone_and_nothing_newer_than_2_17(bundle: Path) -> None:
    assert not check.faults(bundle)
    libraries = [*bundle.glob("*/*.so"), *bundle.glob("*/*/*.so")]
    assert len(libraries) == len(native.ARCHES) * (2 + 8)
    for library in libraries:
        used = {s.version for s in elf.Elf(library.read_bytes()).symbols() if s.version}
        newest = max((tuple(map(int, version[6:].split("."))) for version in used), default=(0,))
        assert newest <= (2, 17), library


@arches
def test_every_name_that_may_be_used_is_in_glibc_2_17_by_this_version(arch: str, tmp_path: Path) -> None:
    listed = native.libc_symbols(arch)
    lines = [f"extern char {name}[];\n" for name in listed]
    table = f"const void *const all[] = {{{', '.join(listed)}}};\n"
    (tmp_path / "all.c").write_text("".join(lines) + table)
    flags = ["-shared", "-fPIC", "-fno-builtin", "-w", "-Wl,-z,defs", "-o", str(tmp_path / "all.so")]
    native.WORK.mkdir(parents=True, exist_ok=True)
    native.run([*compiler(arch, f"gnu.{native.GLIBC}"), *flags, str(tmp_path / "all.c"), "-lpthread"])
    found = elf.Elf((tmp_path / "all.so").read_bytes())
    versions = {symbol.name: symbol.version for symbol in found.symbols() if not symbol.defined and symbol.version}
    assert versions == listed


@arches
def test_every_name_that_is_used_is_in_musl(bundle: Path, arch: str) -> None:
    has = exported(musl(arch))
    used: set[str] = set()
    for library in [bundle / arch / native.CORE, *bundle.glob(f"{arch}/cp*/_native.so")]:
        symbols = elf.Elf(library.read_bytes()).symbols()
        used |= {s.name for s in symbols if not s.defined and s.name in native.libc_symbols(arch) and not s.weak}
    assert len(used) > 50
    assert used <= has, used - has
    assert "pthread_atfork" in has, "the one of the two that is asked for weakly"
    assert set(native.libc_symbols(arch)) - {"__register_atfork"} <= has


@arches
def test_core_opens_in_a_program_of_musl(bundle: Path, arch: str, tmp_path: Path) -> None:
    loader = musl(arch)
    program = tmp_path / "load_core"
    flags = ["-dynamic", "-O2", "-fno-sanitize=all", "-o", str(program)]
    native.run([*compiler(arch, "musl"), *flags, str(HERE / "load_core.c")])
    command = [str(loader), str(program), str(bundle / arch / native.CORE)]
    if arch != platform.machine():
        command.insert(0, guests.qemu())
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
