# SPDX-License-Identifier: Apache-2.0
"""pack: makes blocks of LZ4, the format that native/unpack.c reads. Slow and thorough: it runs once a bundle."""

from __future__ import annotations

LEAST, TAIL, LAST_MATCH, FAR, TRIES = 4, 5, 12, 65535, 256


def pack(data: bytes) -> bytes:
    """The shortest block that a look at the last TRIES places of each four bytes finds."""
    out = bytearray()
    places: dict[bytes, list[int]] = {}
    at = begin = 0
    while at < len(data) - LAST_MATCH:
        length, back = _longest(data, at, places)
        if length >= LEAST and at + 1 < len(data) - LAST_MATCH:
            _note(data, at, places)
            if _longest(data, at + 1, places)[0] > length + 1:  # the next one pays more: this byte is a literal
                at += 1
                continue
        if length < LEAST:
            _note(data, at, places)
            at += 1
            continue
        _sequence(out, data[begin:at], back, length)
        for place in range(at + 1, at + length):
            _note(data, place, places)
        at += length
        begin = at
    _sequence(out, data[begin:], 0, 0)
    return bytes(out)


def _note(data: bytes, at: int, places: dict[bytes, list[int]]) -> None:
    known = places.setdefault(data[at : at + LEAST], [])
    if not known or known[-1] != at:
        known.append(at)


def _longest(data: bytes, at: int, places: dict[bytes, list[int]]) -> tuple[int, int]:
    """Length and distance of the longest repetition here, (0, 0) for none."""
    best, back, limit = 0, 0, len(data) - TAIL - at
    for place in reversed(places.get(data[at : at + LEAST], ())[-TRIES:]):
        if at - place > FAR or best >= limit:
            break
        if place == at or data[place + best] != data[at + best]:
            continue
        length = LEAST
        while length < limit and data[place + length] == data[at + length]:
            length += 1
        if length > best:
            best, back = min(length, limit), at - place
    return (best, back) if best >= LEAST else (0, 0)


def _sequence(out: bytearray, literals: bytes, back: int, length: int) -> None:
    repeated = length - LEAST if length else 0
    out.append(min(len(literals), 15) << 4 | min(repeated, 15))
    _more(out, len(literals))
    out += literals
    if length:
        out += back.to_bytes(2, "little")
        _more(out, repeated)


def _more(out: bytearray, length: int) -> None:
    """What does not fit into half a token."""
    length -= 15
    while length >= 0:
        out.append(min(length, 255))
        if length < 255:
            break
        length -= 255
