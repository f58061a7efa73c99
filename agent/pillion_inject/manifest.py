# SPDX-License-Identifier: Apache-2.0
"""manifest: what a bundle consists of: manifest.json, made by `describe`, read and doubted by `parse`.

    {"version": "0.1.0", "arches": ["aarch64", "x86_64"], "pythons": ["3.8", …],
     "files": {"pillion/start.py": {"sha256": "…", "bytes": 7404, "mode": "0644"}, …}}

Pure: bytes in, a Manifest or ValueError out. A bundle may come from anywhere, so a path that leaves it, or a name that
would be a hidden or a special file of the target, makes the whole manifest worthless.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, NamedTuple

NAME = "manifest.json"
LIBRARY = "libpillion.so"
MANIFEST_BYTES = 1 << 20
FILES = 4096
FILE_BYTES = 64 << 20

VERSION = re.compile(r"[0-9][0-9A-Za-z.+_-]{0,63}")  # begins with a digit: never `current`, `rules.conf` or hidden
_ARCH = re.compile(r"[a-z][a-z0-9_]{1,15}")
_PART = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.+-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class File(NamedTuple):
    """One file of a bundle."""

    path: str
    sha256: str
    bytes: int
    mode: int  # 0644, or 0755 for what can be executed


class Manifest(NamedTuple):
    """A bundle as its maker described it. `text` is the manifest itself, byte for byte."""

    version: str
    arches: tuple[str, ...]
    pythons: tuple[str, ...]
    files: tuple[File, ...]
    text: bytes

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def parse(text: bytes) -> Manifest:
    """Raises ValueError with what is wrong."""
    try:
        found = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError("is no JSON, or cut off") from error
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    version, listed = found.get("version"), found.get("files")
    if not isinstance(version, str) or not VERSION.fullmatch(version):
        raise ValueError(f"names no version that can be a folder: {version!r:.80}")
    if not isinstance(listed, dict) or not 0 < len(listed) <= FILES:
        raise ValueError(f"lists no files, or more than {FILES}")
    files = tuple(_file(path, about) for path, about in sorted(listed.items()))
    paths = set(listed)
    for path in paths:
        if any(path[:at] in paths for at, char in enumerate(path) if char == "/"):
            raise ValueError(f"lists a file as a folder: {path!r:.120}")
    arches = _texts(found, "arches", _ARCH)
    for arch in arches:
        if f"{arch}/{LIBRARY}" not in paths:
            raise ValueError(f"names {arch} but lists no {arch}/{LIBRARY}")
    return Manifest(version, arches, _texts(found, "pythons", _PART), files, text)


def _file(path: str, about: Any) -> File:
    parts = path.split("/")
    if len(parts) > 12 or not all(_PART.fullmatch(part) for part in parts) or path in (NAME, LIBRARY):
        raise ValueError(f"lists a path that no bundle may have: {path!r:.120}")
    if not isinstance(about, dict):
        raise ValueError(f"says nothing of {path}")
    sha256, size, mode = about.get("sha256"), about.get("bytes"), about.get("mode")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"has no sha256 of {path}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= FILE_BYTES:
        raise ValueError(f"has no size of {path}, or one over {FILE_BYTES} bytes")
    if not isinstance(mode, str) or not re.fullmatch(r"0?[0-7]{3}", mode):
        raise ValueError(f"has no mode of {path} such as 0644 or 0755")
    return File(path, sha256, size, 0o755 if int(mode, 8) & 0o111 else 0o644)


def _texts(found: dict[str, Any], key: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    values = found.get(key)
    if not isinstance(values, list) or not 0 < len(values) <= 64:
        raise ValueError(f"has no list of {key}")
    for value in values:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"has {value!r:.80} among its {key}")
    return tuple(values)


def describe(version: str, arches: list[str], pythons: list[str], files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """manifest.json of a new bundle; `files` are content and mode by path. Raises ValueError for what parse refuses."""
    import hashlib

    listed = {
        path: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "mode": f"{mode & 0o777:04o}"}
        for path, (content, mode) in sorted(files.items())
    }
    made = {"version": version, "arches": arches, "pythons": pythons, "files": listed}
    text = (json.dumps(made, indent=1) + "\n").encode("ascii")
    parse(text)
    return text
