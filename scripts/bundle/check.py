# SPDX-License-Identifier: Apache-2.0
"""check: what must be true of a bundle's libraries wherever it is made: what they need, and nothing more."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.bundle import elf, native

LIMIT_BYTES = 3_000_000
EITHER = {"pthread_atfork", "__register_atfork"}  # one of the libcs has each: see native/bundle/portable.h
INTERPRETER = re.compile("_?Py[A-Z_]")


def faults(out: Path) -> list[str]:
    """What is wrong with this bundle, one line each."""
    found = []
    for path in sorted(out.rglob("*.so")):
        name = path.relative_to(out)
        found += [f"{name}: {fault}" for fault in library(path, name.parts[0])]
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if size > LIMIT_BYTES:
        found.append(f"{size} bytes in all, {LIMIT_BYTES} is the limit")
    return found


def library(path: Path, arch: str) -> list[str]:
    """What is wrong with one library, which lies in the folder of this architecture."""
    read = elf.Elf(path.read_bytes())
    symbols = [symbol for symbol in read.symbols() if not symbol.defined]
    flags = sum(value for tag, value in read.dynamic() if tag == elf.FLAGS)
    found = [f"it is for {read.arch or 'another machine'}"] if read.arch != arch else []
    if flags & elf.STATIC_TLS:
        found.append("its thread-local storage can't be had by a library that is opened late")
    if flags & elf.TEXTREL:
        found.append("it writes to its code")
    if path.name == "libpillion.so":
        return found + _needs(read, []) + [f"{s.name} is not weak" for s in symbols if not s.weak]
    found += _needs(read, ["libc.so.6"] if path.name == native.CORE else [native.CORE, "libc.so.6"])
    return found + [fault for symbol in symbols for fault in _symbol(symbol, read.arch, path.name != native.CORE)]


def _needs(read: elf.Elf, expected: list[str]) -> list[str]:
    needed = read.texts(elf.NEEDED)
    return [] if needed == expected else [f"it needs {needed}, expected is {expected}"]


def _symbol(symbol: elf.Symbol, arch: str, module: bool) -> list[str]:
    """A symbol is libc's, in the version that all have; or the interpreter's; or the core's."""
    if module and (INTERPRETER.match(symbol.name) or symbol.name.startswith(native.PREFIX)):
        return []
    if symbol.name in EITHER and not symbol.weak:
        return [f"{symbol.name} is not weak, and not every libc has it"]
    if symbol.name == "pthread_atfork":
        return [f"{symbol.name} asks for {symbol.version}"] if symbol.version else []
    version = native.libc_symbols(arch).get(symbol.name)
    if version is None:
        return [f"{symbol.name} is not among native/bundle/libc.symbols"]
    return (
        [] if symbol.version == version else [f"{symbol.name} asks for {symbol.version or 'no version'}, not {version}"]
    )
