# SPDX-License-Identifier: Apache-2.0
"""scratch: hidden folders of the target that live while something is put together or taken apart, and are then gone.

Who works in one holds a lock on it that ends with the process, however that ends; so whoever comes next may sweep what
nobody holds. There is no lock on the target as a whole: what counts is a single rename each time.
"""

from __future__ import annotations

import fcntl
import os
import time

from pillion_inject.tree import FOLDER

PREFIX = ".pillion-"
STALE_S = 60  # of a link, which lives for microseconds


def name(what: str) -> str:
    """A name that nobody else has."""
    return f"{PREFIX}{what}-{os.getpid()}-{os.urandom(4).hex()}"


def make(target: int) -> tuple[str, int]:
    """An empty folder that is ours: its name, and its descriptor with the lock on it. Raises OSError."""
    for _ in range(16):
        here = name("new")
        os.mkdir(here, 0o700, dir_fd=target)
        folder = hold(target, here)
        if folder is not None:
            return here, folder
    raise OSError("other programs take every folder that is made here")


def hold(target: int, here: str) -> int | None:
    """Locks a scratch folder: its descriptor, or None when somebody else holds it, or it is none any more."""
    try:
        folder = os.open(here, FOLDER, dir_fd=target)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks: then age alone tells
            if time.time() - os.fstat(folder).st_mtime < STALE_S:
                raise
        same = os.stat(here, dir_fd=target, follow_symlinks=False)  # its owner may have renamed it just before
        if os.path.samestat(same, os.fstat(folder)):
            return folder
    except OSError:
        pass
    os.close(folder)
    return None


def remove(target: int, here: str) -> None:
    """Deletes a scratch folder, following no link. What can't be deleted stays for the next sweep."""
    try:
        for _, folders, names, folder in os.fwalk(here, topdown=False, dir_fd=target):
            for each in names:
                os.unlink(each, dir_fd=folder)
            for each in folders:
                try:
                    os.rmdir(each, dir_fd=folder)
                except NotADirectoryError:  # a link to a folder
                    os.unlink(each, dir_fd=folder)
        os.rmdir(here, dir_fd=target)
    except OSError:
        pass


def sweep(target: int) -> int:
    """Deletes what installs that were killed left behind; how much."""
    swept = 0
    for here in os.listdir(target):
        if not here.startswith(PREFIX):
            continue
        try:
            status = os.stat(here, dir_fd=target, follow_symlinks=False)
            if status.st_mode & 0o170000 == 0o120000:
                if time.time() - status.st_mtime > STALE_S:
                    os.unlink(here, dir_fd=target)
                    swept += 1
                continue
        except OSError:
            continue
        folder = hold(target, here)
        if folder is not None:
            remove(target, here)
            os.close(folder)
            swept += 1
    return swept
