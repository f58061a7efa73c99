# SPDX-License-Identifier: Apache-2.0
"""versions: what lies in a target side by side: listed, made current again (rollback), removed."""

from __future__ import annotations

import os
from typing import NamedTuple

from pillion_inject import BUNDLE, CONFLICT, VERSION, Trouble, manifest, scratch, tree
from pillion_inject.install import denied, now, open_target, open_version, point
from pillion_inject.manifest import LIBRARY, Manifest


class Version(NamedTuple):
    """One folder of the target."""

    folder: str
    current: bool
    whole: bool
    trouble: str  # why it isn't
    version: str
    arches: list[str]
    pythons: list[str]
    files: int
    bytes: int


def everything(path: str) -> list[Version]:
    """All versions that lie there, by name. Raises Trouble."""
    target = open_target(path)
    try:
        names = sorted(name for name in os.listdir(target) if manifest.VERSION.fullmatch(name))
        return [_version(target, name) for name in names]
    except OSError as error:
        raise denied(path, error) from error
    finally:
        os.close(target)


def _version(target: int, name: str) -> Version:
    is_current = now(target) == name
    try:
        known = _known(target, name)
    except (tree.Unlike, ValueError, OSError) as error:
        return Version(name, is_current, False, str(error), "", [], [], 0, 0)
    return Version(
        name,
        is_current,
        True,
        "",
        known.version,
        list(known.arches),
        list(known.pythons),
        len(known.files),
        known.total,
    )


def _known(target: int, name: str) -> Manifest:
    """The version's manifest, which its files were compared with. Raises Unlike, ValueError and OSError."""
    folder = open_version(target, name)
    try:
        known = manifest.parse(tree.read_manifest(folder))
        if name.partition("+")[0] != known.version.partition("+")[0]:
            raise ValueError(f"is that of {known.version}")
        tree.compare(folder, known, None)
        return known
    finally:
        os.close(folder)


def _named(target: int, path: str, name: str, option: str) -> None:
    """Raises Trouble unless there is such a version."""
    try:
        if manifest.VERSION.fullmatch(name):
            return os.close(open_version(target, name))
    except OSError:
        pass
    there = ", ".join(sorted(each for each in os.listdir(target) if manifest.VERSION.fullmatch(each))) or "none"
    raise Trouble(f"{option} {name!r:.80}: no such version in {path}: there are {there}", VERSION)


def use(path: str, name: str) -> str | None:
    """Makes a version current again, after comparing it with its manifest; what was current. Raises Trouble."""
    target = open_target(path)
    try:
        _named(target, path, name, "--use")
        try:
            _known(target, name)
        except (tree.Unlike, ValueError) as error:
            raise Trouble(f"--use {name}: is damaged: {error}: install it anew", BUNDLE) from None
        previous = now(target)
        point(target, path, name)
        try:
            os.close(open_version(target, name))
        except OSError:  # removed in this very moment
            if previous is not None:
                point(target, path, previous)
            raise Trouble(f"--use {name}: was removed just now: install it anew", VERSION) from None
        return previous
    except OSError as error:
        raise denied(path, error) from error
    finally:
        os.close(target)


def remove(path: str, name: str) -> None:
    """Removes a version that is not current and that no process here was started from. Raises Trouble."""
    target = open_target(path)
    try:
        _named(target, path, name, "--remove")
        if now(target) == name:
            raise Trouble(f"--remove {name}: is the current one: --use another first", VERSION)
        pids = users(target, name)
        if pids:
            some = ", ".join(map(str, pids[:5]))
            raise Trouble(f"--remove {name}: processes started from it still run (pid {some}): end them first", VERSION)
        away = scratch.name("old")
        os.rename(name, away, src_dir_fd=target, dst_dir_fd=target)
        if now(target) == name:  # made current in this very moment
            os.rename(away, name, src_dir_fd=target, dst_dir_fd=target)
            raise Trouble(f"--remove {name}: became the current one just now", CONFLICT)
        scratch.remove(target, away)
    except OSError as error:
        raise denied(path, error) from error
    finally:
        os.close(target)


def users(target: int, name: str) -> list[int]:
    """Processes that have a library of this version mapped, as far as this one may see others."""
    folder = open_version(target, name)
    inodes: set[bytes] = set()
    try:
        for _, _, names, here in os.fwalk(".", dir_fd=folder):
            for each in names:
                if each.endswith(".so"):
                    inodes.add(str(os.stat(each, dir_fd=here).st_ino).encode())
    finally:
        os.close(folder)
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/maps", "rb") as maps:
                lines = [line.split(None, 5) for line in maps if b".so" in line]
        except OSError:  # ended, or somebody else's
            continue
        # Seen through a mount the device and the path may be other ones; a file's name and number together are not.
        if any(len(at) == 6 and at[4] in inodes and _ours(at[5]) for at in lines):
            found.append(int(pid))
    return sorted(found)


def _ours(path: bytes) -> bool:
    return os.path.basename(path).startswith((LIBRARY.encode(), b"_native."))
