# SPDX-License-Identifier: Apache-2.0
"""OTLP bytes to Arrow columns: the ctypes side of native/decode.c. No Python object a span, and no GIL meanwhile.

A `Table` speaks Arrow's PyCapsule interface, so DuckDB reads it in place, without pyarrow. A decoder can't be cleared
while something still reads its tables: `clear` says so by BufferError.
"""

from __future__ import annotations

import ctypes
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Any, Final

KINDS: Final = {"traces": 1, "metrics": 2, "logs": 3}
TABLES: Final = {"items": 0, "resources": 1, "scopes": 2}
REASONS: Final = (
    "trace or span id of a wrong length or all zero",
    "time past the year 2262",
    "a value nested deeper than 32",
)
_OK, _TOO_LARGE, _NO_MEMORY, _BAD_INPUT, _BUSY = 0, 2, 3, 5, 7  # enum status


class DecodeError(ValueError):
    """The request is no such protobuf message, or needs more memory than its size allows. Nothing of it was kept."""


class _Outcome(ctypes.Structure):
    _fields_ = (
        ("accepted", ctypes.c_uint64),
        ("rejected", ctypes.c_uint64),
        ("reasons", ctypes.c_uint64 * len(REASONS)),
    )


class _Stream(ctypes.Structure):
    """struct ArrowArrayStream."""


_Release = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_Stream._fields_ = (
    ("get_schema", ctypes.c_void_p),
    ("get_next", ctypes.c_void_p),
    ("get_last_error", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
)


@cache
def library() -> ctypes.CDLL:
    """libpillion_collector.so beside this file, or another build of it that PILLION_COLLECTOR_LIBRARY names."""
    beside = Path(__file__).with_name("libpillion_collector.so")
    lib = ctypes.CDLL(os.environ.get("PILLION_COLLECTOR_LIBRARY") or str(beside))
    pointer, number = ctypes.c_void_p, ctypes.c_int
    lib.decode_create.argtypes = (ctypes.POINTER(pointer), number, ctypes.c_uint64)
    lib.decode_append.argtypes = (pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_Outcome))
    lib.decode_rows.argtypes = (pointer, number)
    lib.decode_rows.restype = ctypes.c_uint64
    lib.decode_stream.argtypes = (pointer, number, ctypes.POINTER(_Stream))
    lib.decode_clear.argtypes = (pointer,)
    lib.decode_free.argtypes = (pointer,)
    lib.decode_free.restype = None
    return lib


_CAPSULE: Final = b"arrow_array_stream"
_streams: Final[dict[int, _Stream]] = {}  # address -> the structure, from the making of its capsule to its end
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_new_capsule.restype = ctypes.py_object
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
_capsule_pointer.restype = ctypes.c_void_p


@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)  # type: ignore[untyped-decorator]
def _end_capsule(capsule: int) -> None:
    """Releases a stream that nobody took over (whoever does sets its release to NULL)."""
    stream = _streams.pop(_capsule_pointer(capsule, _CAPSULE), None)
    if stream is not None and stream.release:
        _Release(stream.release)(ctypes.byref(stream))


class Table:
    """All rows of one of a decoder's tables, for whoever reads Arrow streams. May be read several times."""

    def __init__(self, decoder: Decoder, table: str) -> None:
        self._decoder = decoder  # keeps the memory
        self._table = TABLES[table]

    def __len__(self) -> int:
        return int(library().decode_rows(self._decoder.handle, self._table))

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        stream = _Stream()
        if library().decode_stream(self._decoder.handle, self._table, ctypes.byref(stream)) != _OK:
            raise MemoryError
        address = ctypes.addressof(stream)
        _streams[address] = stream
        return _new_capsule(address, _CAPSULE, ctypes.cast(_end_capsule, ctypes.c_void_p))


class Decoder:
    """Collects the requests of one kind ("traces", "metrics", "logs") into three tables. One thread at a time."""

    def __init__(self, kind: str) -> None:
        self.handle = ctypes.c_void_p()
        if library().decode_create(ctypes.byref(self.handle), KINDS[kind], secrets.randbits(64)) != _OK:
            raise MemoryError
        self.items = Table(self, "items")
        self.resources = Table(self, "resources")
        self.scopes = Table(self, "scopes")

    def append(self, body: bytes) -> tuple[int, int, str]:
        """Adds one request: items accepted, items rejected, and why those were. DecodeError when it is malformed."""
        outcome = _Outcome()
        status = library().decode_append(self.handle, body, len(body), ctypes.byref(outcome))
        if status == _BUSY:
            raise BufferError("the tables are still being read")
        if status == _NO_MEMORY:
            raise MemoryError
        if status == _TOO_LARGE:
            raise DecodeError(f"a message of {len(body)} bytes that would take far more memory than that")
        if status != _OK:
            raise DecodeError(f"a malformed protobuf message of {len(body)} bytes")
        return outcome.accepted, outcome.rejected, _why(outcome)

    def clear(self) -> None:
        """Forgets all rows."""
        if library().decode_clear(self.handle) != _OK:
            raise BufferError("the tables are still being read")

    def __del__(self) -> None:
        if self.handle:
            library().decode_free(self.handle)


def _why(outcome: _Outcome) -> str:
    counts = zip(outcome.reasons, REASONS, strict=True)
    return "; ".join(f"{count}: {reason}" for count, reason in counts if count) if outcome.rejected else ""
