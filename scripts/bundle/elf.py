# SPDX-License-Identifier: Apache-2.0
"""elf: what a compiled file asks of others and offers them: 64 bits, little endian, as x86_64 and aarch64 are.

Pure: bytes in, names out. Raises ValueError for anything else.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

SYMTAB, DYNAMIC, DYNSYM, VERNEED, VERSYM = 2, 6, 11, 0x6FFFFFFE, 0x6FFFFFFF
NEEDED, FLAGS = 1, 30
STATIC_TLS, TEXTREL = 0x10, 0x4
MACHINES = {62: "x86_64", 183: "aarch64"}
GLOBAL, WEAK = 1, 2


class Section(NamedTuple):
    """A row of the table of sections."""

    kind: int
    offset: int
    size: int
    link: int
    entry: int


class Symbol(NamedTuple):
    """A symbol that other files may see, with its version where it has one."""

    name: str
    weak: bool
    defined: bool
    version: str


class Elf:
    """One object file or shared library."""

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("no ELF file of 64 bits, little endian")
        self.data = data
        self.arch = MACHINES.get(struct.unpack_from("<H", data, 18)[0], "")
        table, rows = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
        self.sections = [self._section(table + 64 * row) for row in range(rows)]

    def _section(self, at: int) -> Section:
        _, kind, _, _, offset, size, link, _, _, entry = struct.unpack_from("<IIQQQQIIQQ", self.data, at)
        return Section(kind, offset, size, link, entry)

    def _of_kind(self, kind: int) -> Section | None:
        return next((section for section in self.sections if section.kind == kind), None)

    def _text(self, strings: Section, at: int) -> str:
        begin = strings.offset + at
        return self.data[begin : self.data.index(b"\0", begin)].decode()

    def symbols(self, kind: int = DYNSYM) -> list[Symbol]:
        """Those that are not local: of a library (DYNSYM), or of an object file (SYMTAB)."""
        section = self._of_kind(kind)
        if section is None:
            return []
        versions, names = self._of_kind(VERSYM), self._versions()
        found = []
        for row in range(section.size // 24):
            name, info, other, where = struct.unpack_from("<IBBH", self.data, section.offset + 24 * row)
            if info >> 4 not in (GLOBAL, WEAK) or (other & 3 and where and kind == DYNSYM):
                continue
            version = 0
            if versions is not None and kind == DYNSYM:
                version = struct.unpack_from("<H", self.data, versions.offset + 2 * row)[0] & 0x7FFF
            text = self._text(self.sections[section.link], name)
            found.append(Symbol(text, info >> 4 == WEAK, where != 0, names.get(version, "")))
        return found

    def _versions(self) -> dict[int, str]:
        """The versions that are asked for, by their number."""
        section = self._of_kind(VERNEED)
        found: dict[int, str] = {}
        at = section.offset if section is not None else 0
        while section is not None:
            _, _, _, first, following = struct.unpack_from("<HHIII", self.data, at)
            one = at + first
            while True:
                _, _, number, name, next_one = struct.unpack_from("<IHHII", self.data, one)
                found[number & 0x7FFF] = self._text(self.sections[section.link], name)
                if not next_one:
                    break
                one += next_one
            if not following:
                break
            at += following
        return found

    def dynamic(self) -> list[tuple[int, int]]:
        """The rows of the dynamic section: tag and value."""
        section = self._of_kind(DYNAMIC)
        if section is None:
            return []
        rows = range(section.offset, section.offset + section.size, 16)
        return [struct.unpack_from("<QQ", self.data, at) for at in rows]

    def texts(self, tag: int) -> list[str]:
        """The texts of a tag, as NEEDED is one."""
        section = self._of_kind(DYNAMIC)
        strings = self.sections[section.link] if section is not None else None
        return [self._text(strings, value) for found, value in self.dynamic() if found == tag and strings is not None]
