# SPDX-License-Identifier: Apache-2.0
"""The few bytes of protobuf that the collector makes and reads itself. Pure; what is malformed ends the reading."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    """Text, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def whole(number: int, value: int) -> bytes:
    """A number, an enum or a bool."""
    return varint(number << 3) + varint(value)


def fixed64(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def fixed32(number: int, value: int) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<I", value)


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message; others are passed over."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(data, at)
            if size > len(data) - at:
                return
            yield tag >> 3, data[at : at + size]
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            return


def strings(resource: bytes) -> dict[str, str]:
    """The string attributes of an encoded Resource."""
    found = {}
    for number, attribute in fields(resource):
        if number != 1:
            continue
        parts = dict(fields(attribute))
        value = dict(fields(parts.get(2, b"")))
        if 1 in parts and 1 in value:
            found[parts[1].decode("utf-8", "replace")] = value[1].decode("utf-8", "replace")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7
    return 1 << 62, len(data)  # cut off: larger than anything that follows
