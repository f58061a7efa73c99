# SPDX-License-Identifier: Apache-2.0
"""loader: what the bundle appends to pillion/__init__.py, so that the package is found in the bundle's shape.

Written for CPython 3.8. Everything below the line is taken over as it is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

__path__: list[str] = []
__file__ = ""

# --- The bundle alone has what follows. The modules of this package lie in two blocks of code/cpXY (those of every
# start, and the rest), packed and compiled for one CPython; the text beside them serves a CPython that they don't fit,
# and tells it why it can't be traced. The native module lies in ARCH/cpXY, one for every libc.


class _Bundle:
    """Finder and loader of this package's modules. Registered for its folders alone, so nobody else meets it."""

    def __init__(self, package: str, data: bytes, arch: str, tag: str) -> None:
        import marshal

        index_bytes = int.from_bytes(data[4:8], "little")
        sizes, self.blocks, self.modules = marshal.loads(data[8 : 8 + index_bytes])
        self.unpacked = ("", b"")  # the block that was needed last
        self.packed = memoryview(data)[8 + index_bytes :]
        root = package[: -len("/pillion")]
        self.native = f"{root}/{arch}/{tag}/_native.so"
        self.whole = ((f"{root}/{arch}/libpillion_core.so", sizes[arch][0]), (self.native, sizes[arch][1]))
        self.root = root

    def find_spec(self, name: str, target: object = None) -> Any:
        """The spec of one of ours, or None."""
        from _frozen_importlib import ModuleSpec

        if name == "pillion._native":
            return self._native_spec(name)
        row = self.modules.get(name)
        if row is None:
            return None
        spec = ModuleSpec(name, self, origin=f"{self.root}/{row[0]}", is_package=row[0].endswith("__init__.py"))  # type: ignore[arg-type]
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(f"{self.root}/{row[0]}"[: -len("/__init__.py")])
        return spec

    def _native_spec(self, name: str) -> Any:
        """Raises ImportError for a library that is cut off, say half copied: to map it ends a process (SIGBUS)."""
        import os
        from _frozen_importlib_external import ExtensionFileLoader, spec_from_file_location

        for path, size in self.whole:
            if os.stat(path).st_size != size:
                raise ImportError(f"{path} is not whole")
        return spec_from_file_location(name, self.native, loader=ExtensionFileLoader(name, self.native))

    def get_code(self, name: str) -> CodeType:
        """The module's code; from its text where the native module, which unpacks it, can't be had."""
        import _imp
        import marshal

        text, block, begin, end = self.modules[name]
        path = f"{self.root}/{text}"
        try:
            code: CodeType = marshal.loads(memoryview(self._block(block))[begin:end])
        except ImportError:
            with open(path, "rb") as file:
                return compile(file.read(), path, "exec", dont_inherit=True)
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]
        return code

    def _block(self, block: str) -> bytes:
        if self.unpacked[0] != block:
            from pillion import _native

            begin, end, size = self.blocks[block]
            self.unpacked = block, _native.unpack(self.packed[begin:end], size)
        return self.unpacked[1]

    def create_module(self, spec: object) -> None:
        """An ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs its body."""
        exec(self.get_code(module.__name__), module.__dict__)

    def invalidate_caches(self) -> None:
        """There is nothing that could change."""


def _bundle(package: str) -> None:
    """Registers the bundle's finder, if this CPython is one that the bundle is for."""
    import os
    import sys
    from _frozen_importlib_external import MAGIC_NUMBER

    tag = "cp{}{}".format(*sys.version_info)
    if sys.implementation.name != "cpython" or "t" in sys.abiflags:
        return
    try:
        descriptor = os.open(f"{package}/code/{tag}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        data = os.read(descriptor, 1 << 24)
    finally:
        os.close(descriptor)
    if data[:4] == MAGIC_NUMBER:
        found = _Bundle(package, data, os.uname().machine, tag)
        sys.path_importer_cache.update({package: found, f"{package}/hooks": found})


_bundle(__path__[0])
