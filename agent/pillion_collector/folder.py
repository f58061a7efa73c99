# SPDX-License-Identifier: Apache-2.0
"""The data folder of a store: who holds it, which version wrote it, and how much room its disk has."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from pathlib import Path

from pillion_collector import schema
from pillion_collector.partitions import newer
from pillion_collector.store_types import StoreError

_MARKER = "store.json"
_LOCK = "lock"


class Folder:
    """An exclusive hold on the folder until `close`. StoreError: it can't be had, or is of a newer version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_version()
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError("setting", f"--data {path}: {error.strerror}; name a folder that can be written") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._mark()
        except OSError as error:
            os.close(self._lock)
            if isinstance(error, BlockingIOError):
                raise StoreError(
                    "locked", f"--data {path} is used by another collector: end that one, or name another folder"
                ) from None
            raise StoreError("setting", f"--data {path}: {error.strerror}; name a folder that can be written") from None

    def _check_version(self) -> None:
        try:
            version = json.loads((self.path / _MARKER).read_text())["version"]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            return  # torn: every partition has its own version as well
        if isinstance(version, int) and version > schema.VERSION:
            raise newer(self.path, version)

    def _mark(self) -> None:
        """Writes the version, once; torn files are replaced."""
        marker, fresh = self.path / _MARKER, self.path / (_MARKER + ".new")
        text = json.dumps({"version": schema.VERSION}) + "\n"
        with contextlib.suppress(FileNotFoundError):
            if marker.read_text() == text:
                return
        fresh.write_text(text)
        os.replace(fresh, marker)

    def free_bytes(self) -> int:
        """What the disk still takes."""
        return shutil.disk_usage(self.path).free

    def close(self) -> None:
        """Lets the next one in."""
        os.close(self._lock)
