# SPDX-License-Identifier: Apache-2.0
"""A process's ring file, read from outside: identity, counters, what was in flight, and its spans as OTLP requests.

The ctypes side of native/decode_ring.c. Files are foreign and may be hostile: the worst that comes of one is RingError.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from functools import cache
from typing import Final

from pillion_collector import decode

COUNTERS: Final = 16
_OK, _NO_MEMORY, _IO = 0, 3, 4  # enum status
_PASSING: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOENT, errno.EINTR)
_TROUBLES: Final = {
    2: "too large",
    3: "no memory to read it",
    5: "not a ring, or damaged",
    6: "of another layout version",
}


class RingError(Exception):
    """This file can't be read as a ring; the text says why.

    `lasting`: it will never be readable, and not for want of memory or descriptors just now.
    """

    def __init__(self, message: str, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Flight:
    """A request that had begun and not ended. `parent_id` is empty for a root."""

    name: str
    detail: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    kind: int
    flags: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The stretch [start, end) of a ring as an ExportTraceServiceRequest. Positions are numbers of this ring alone."""

    body: bytes
    start: int
    end: int
    spans: int


@dataclass(frozen=True, slots=True)
class Ring:
    """What a ring holds from `start` on.

    `pid` is what the process is called in `pid_namespace` (an inode; 0: not known). `alive`: its owner is; `ended`: it
    left it in order. `head` is the position of the oldest record that was not acknowledged. `metrics` are
    ExportMetricsServiceRequest bytes. `skipped` records were begun and never finished, `refused` ones make no sense:
    both counted as recorded.
    """

    pid: int
    start_ticks: int
    pid_namespace: int
    created_ns: int
    ring_id: bytes
    instance: bytes
    alive: bool
    ended: bool
    head: int
    resource: bytes
    counters: dict[str, int]
    flights: list[Flight]
    batches: list[Batch]
    metrics: list[bytes]
    skipped: int
    refused: int


class _Facts(ctypes.Structure):
    _fields_ = (
        ("start_ticks", ctypes.c_uint64),
        ("pid_namespace", ctypes.c_uint64),
        ("created_ns", ctypes.c_uint64),
        ("counters", ctypes.c_uint64 * COUNTERS),
        ("pid", ctypes.c_uint32),
        ("resource_bytes", ctypes.c_uint32),
        ("instance_id", ctypes.c_uint8 * 16),
        ("ring_id", ctypes.c_uint8 * 16),
        ("head", ctypes.c_uint64),
        ("resource", ctypes.c_void_p),
        ("ended", ctypes.c_uint32),
    )


class _Flight(ctypes.Structure):
    _fields_ = (
        ("trace_id", ctypes.c_uint8 * 16),
        ("span_id", ctypes.c_uint8 * 8),
        ("parent_id", ctypes.c_uint8 * 8),
        ("start_ns", ctypes.c_uint64),
        ("name", ctypes.c_void_p),
        ("detail", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("detail_bytes", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        ("body", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("spans", ctypes.c_uint64),
    )


@cache
def _library() -> ctypes.CDLL:
    # A handle of its own on the library that decode.py finds: errno is wanted here.
    lib = ctypes.CDLL(decode.library()._name, use_errno=True)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    lib.pillion_ring_open.argtypes = (ctypes.c_char_p, number, number, ctypes.POINTER(pointer))
    lib.pillion_ring_facts.argtypes = (pointer, ctypes.POINTER(_Facts))
    lib.pillion_ring_facts.restype = None
    lib.pillion_ring_flight.restype = ctypes.c_uint32
    lib.pillion_ring_flight.argtypes = (pointer, ctypes.c_uint32, ctypes.POINTER(_Flight))
    lib.pillion_ring_seek.argtypes = (pointer, ctypes.c_uint64)
    lib.pillion_ring_next.argtypes = (pointer, ctypes.POINTER(_Batch))
    lib.pillion_ring_next.restype = None
    lib.pillion_ring_metrics.argtypes = (pointer, ctypes.POINTER(pointer))
    lib.pillion_ring_metrics.restype = ctypes.c_size_t
    for count in (lib.pillion_ring_skipped, lib.pillion_ring_refused):
        count.argtypes = (pointer,)
        count.restype = ctypes.c_uint64
    lib.pillion_ring_close.argtypes = (pointer,)
    lib.pillion_ring_close.restype = None
    lib.pillion_ring_owner_alive.argtypes = (ctypes.c_char_p, ctypes.POINTER(number))
    lib.pillion_ring_counter_name.argtypes = (ctypes.c_uint,)
    lib.pillion_ring_counter_name.restype = ctypes.c_char_p
    return lib


@cache
def counter_names() -> tuple[str | None, ...]:
    """The names of a ring's counters in their order; None for unused ones."""
    names = (_library().pillion_ring_counter_name(index) for index in range(COUNTERS))
    return tuple(name.decode() if name is not None else None for name in names)


def owner_alive(path: str | os.PathLike[str]) -> bool:
    """Whether the process that made this ring still lives: it holds a lock on the file until the kernel takes it."""
    alive = ctypes.c_int()
    _check(_library().pillion_ring_owner_alive(os.fsencode(path), ctypes.byref(alive)), path)
    return bool(alive.value)


def read(path: str | os.PathLike[str], start: int | None = None) -> Ring:
    """Everything in the ring from `start`, or else from the oldest record that was not acknowledged.

    Reading changes nothing in the file. RingError: it can't be read, or has no position `start`.
    """
    return _read(path, True, start)


def peek(path: str | os.PathLike[str]) -> Ring:
    """The same without spans and metrics: identity, counters and flights, from the first 148 KiB of the file."""
    return _read(path, False, None)


def _read(path: str | os.PathLike[str], whole: bool, start: int | None) -> Ring:
    lib, handle = _library(), ctypes.c_void_p()
    dead = not owner_alive(path)  # asked first: what the owner committed before it died is then there
    _check(lib.pillion_ring_open(os.fsencode(path), whole, dead, ctypes.byref(handle)), path)
    try:
        facts = _Facts()
        lib.pillion_ring_facts(handle, ctypes.byref(facts))
        if start is not None and not lib.pillion_ring_seek(handle, start):
            raise RingError(f"{os.fspath(path)}: there is no position {start:#x} in it")
        batches = _batches(lib, handle) if whole else []
        return Ring(
            pid=facts.pid,
            start_ticks=facts.start_ticks,
            pid_namespace=facts.pid_namespace,
            created_ns=facts.created_ns,
            ring_id=bytes(facts.ring_id),
            instance=bytes(facts.instance_id),
            alive=not dead,
            ended=bool(facts.ended),
            head=facts.head,
            resource=ctypes.string_at(facts.resource, facts.resource_bytes),
            counters={name: facts.counters[index] for index, name in enumerate(counter_names()) if name is not None},
            flights=_flights(lib, handle),
            batches=batches,
            metrics=_metrics(lib, handle) if whole else [],
            skipped=lib.pillion_ring_skipped(handle),
            refused=lib.pillion_ring_refused(handle),
        )
    finally:
        lib.pillion_ring_close(handle)


def _batches(lib: ctypes.CDLL, handle: ctypes.c_void_p) -> list[Batch]:
    batches: list[Batch] = []
    one = _Batch()  # filled again for each
    while True:
        lib.pillion_ring_next(handle, ctypes.byref(one))
        if not one.bytes:
            return batches
        batches.append(Batch(ctypes.string_at(one.body, one.bytes), one.start, one.end, one.spans))


def _metrics(lib: ctypes.CDLL, handle: ctypes.c_void_p) -> list[bytes]:
    requests, body = [], ctypes.c_void_p()
    while size := lib.pillion_ring_metrics(handle, ctypes.byref(body)):
        requests.append(ctypes.string_at(body, size))
    return requests


def _flights(lib: ctypes.CDLL, handle: ctypes.c_void_p) -> list[Flight]:
    """Few calls: at each of them another thread may take the interpreter."""
    one, slot, found = _Flight(), 0, []  # `one` is filled again for each
    while slot := lib.pillion_ring_flight(handle, slot, ctypes.byref(one)):
        found.append(_flight(one))
    return found


def _flight(one: _Flight) -> Flight:
    return Flight(
        name=ctypes.string_at(one.name, one.name_bytes).decode(errors="replace"),
        detail=ctypes.string_at(one.detail, one.detail_bytes).decode(errors="replace"),
        trace_id=bytes(one.trace_id).hex(),
        span_id=bytes(one.span_id).hex(),
        parent_id=bytes(one.parent_id).hex() if any(one.parent_id) else "",
        start_ns=one.start_ns,
        kind=one.kind,
        flags=one.flags,
    )


def _check(status: int, path: str | os.PathLike[str]) -> None:
    if status == _OK:
        return
    number = ctypes.get_errno() if status == _IO else 0
    reason = os.strerror(number) if number else _TROUBLES.get(status, f"status {status}")
    raise RingError(f"{os.fspath(path)}: {reason}", status != _NO_MEMORY and number not in _PASSING)
