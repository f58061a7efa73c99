# SPDX-License-Identifier: Apache-2.0
"""install: puts a bundle into a folder, versions side by side, and says which one is current.

    DIR/0.1.0/…  DIR/0.2.0/…  DIR/current -> 0.2.0        DIR/rules.conf is the operator's and never touched

A version appears whole, by one rename of a folder that was compared with its manifest; `current` changes by one rename
of a link. A version that is there is never written to again: processes that were started from it keep what they mapped,
and find what they import later. Another build of the same version gets a folder of its own beside it. Several installs
at once, as any users, are safe: each works in a hidden folder of its own, and the last one to name `current` wins.
"""

from __future__ import annotations

import errno
import hashlib
import os
from typing import Callable, NamedTuple

from pillion_inject import BUNDLE, CONFLICT, DENIED, FAILED, FULL, Trouble, manifest, scratch, tree
from pillion_inject.manifest import LIBRARY, Manifest

CURRENT = "current"
ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}


Check = Callable[[str], None]


class Installed(NamedTuple):
    """What an install came to."""

    version: str
    folder: str  # its name in the target
    previous: str | None  # what `current` led to before
    current: str | None  # and leads to now
    changed: bool
    swept: int  # leftovers of killed installs
    files: int
    bytes: int
    notes: list[str]


def open_target(path: str, make: bool = False) -> int:
    """The target's descriptor, the folder made if need be and asked for. Raises Trouble."""
    try:
        if make:
            _make(os.path.abspath(path))
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise denied(path, error) from error


def _make(path: str) -> None:
    """The folder and those above it, each open to any user, whatever the umask."""
    if not os.path.lexists(path):
        _make(os.path.dirname(path))
        try:
            os.mkdir(path)
            os.chmod(path, 0o755)
        except FileExistsError:
            pass  # by another install just now


def denied(path: str, error: OSError) -> Trouble:
    """An error of the target as one line with the remedy."""
    said = f"--to {path}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Trouble(f"{said}: make room (a version takes about 4 MB), or name another volume", FULL)
    if error.errno == errno.EROFS:
        return Trouble(f"{said}: mount this one folder writable where install runs", DENIED)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Trouble(f"{said} for uid {os.getuid()}: make the folder writable for it, or run as its owner", DENIED)
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP):
        return Trouble(f"{said}: name a folder, such as /opt/pillion", CONFLICT)
    return Trouble(f"{said}: name another folder, or another volume", FAILED)


def open_bundle(path: str) -> tuple[int, Manifest]:
    """The bundle's descriptor and its manifest. Raises Trouble."""
    remedy = "name the folder of a whole bundle"
    try:
        source = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Trouble(f"--from {path}: {error.strerror}: {remedy}", BUNDLE) from error
    try:
        return source, manifest.parse(tree.read_manifest(source))
    except (tree.Unlike, ValueError) as error:
        os.close(source)
        if isinstance(error, tree.Unlike):
            raise Trouble(f"--from {path}: {error}: {remedy}", BUNDLE) from None
        raise Trouble(f"--from {path}: {manifest.NAME} {error}: get the bundle anew", BUNDLE) from None


def machine(asked: str | None, known: Manifest) -> str:
    """The architecture whose library is linked: --arch, else this machine's. Raises Trouble."""
    arch = asked or os.uname().machine
    arch = ARCHES.get(arch, arch)
    if arch in known.arches:
        return arch
    has = " and ".join(known.arches)
    raise Trouble(f"--arch {arch}: this bundle is for {has}: name one of these, or get a bundle for {arch}", BUNDLE)


def install(path: str, bundle: str, arch: str | None, current: bool, check: Check | None = None) -> Installed:
    """Puts the bundle there and makes it current, if `check` lets its folder pass. Raises Trouble: nothing has changed
    then but what is swept, and when it is the check's that the version lies there."""
    source, known = open_bundle(bundle)
    target = -1
    try:
        link = machine(arch, known)
        target = open_target(path, make=True)
        _ours(target, path)
        swept = scratch.sweep(target)
        name = _folder(target, path, known)
        changed = not _whole(target, name, known, link)
        if changed:
            _bring(source, target, name, known, link, bundle)
        previous = now(target)
        if current and previous != name:
            if check is not None:
                check(os.path.join(os.path.abspath(path), name))
            changed = point(target, path, name) or changed
        notes = _notes(target, path)
        return Installed(
            known.version, name, previous, now(target), changed, swept, len(known.files), known.total, notes
        )
    except tree.Target as trouble:
        raise denied(path, trouble.error) from trouble
    except OSError as error:
        raise denied(path, error) from error
    finally:
        os.close(source)
        if target >= 0:
            os.close(target)


def _ours(target: int, path: str) -> None:
    """Refuses a folder that is somebody else's: things in it, and not one version of pillion."""
    names = [name for name in os.listdir(target) if not name.startswith(".") and name != "lost+found"]
    if names and not any(name in (CURRENT, "rules.conf") or manifest.VERSION.fullmatch(name) for name in names):
        some = ", ".join(sorted(names)[:3])
        raise Trouble(f"--to {path}: holds other things ({some}): name a folder of its own, such as {path}/pillion"
                      .replace("//", "/"), CONFLICT)  # fmt: skip


def _notes(target: int, path: str) -> list[str]:
    mode = os.fstat(target).st_mode
    if mode & 0o555 != 0o555:
        return [f"{path} can't be read by every user (mode {mode & 0o777:04o}): applications of others find nothing"]
    if mode & 0o002:
        return [f"{path} is writable by every user: mount it read-only where applications run"]
    return []


def _folder(target: int, path: str, known: Manifest) -> str:
    """The version's folder; another one for another build of a version that is there."""
    try:
        there = open_version(target, known.version)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise Trouble(f"--to {path}: {known.version} is there and no folder: move it away", CONFLICT) from None
        return known.version
    try:
        text = tree.read_manifest(there)
        manifest.parse(text)
    except (tree.Unlike, ValueError):
        return known.version  # damaged: it's replaced
    finally:
        os.close(there)
    build = hashlib.sha256(known.text).hexdigest()[:8]
    return known.version if text == known.text else f"{known.version[:55]}+{build}"


def open_version(target: int, name: str) -> int:
    """The descriptor of a version's folder. Raises OSError."""
    return os.open(name, tree.FOLDER, dir_fd=target)


def _whole(target: int, name: str, known: Manifest, arch: str) -> bool:
    """Whether this very bundle is there, to the byte."""
    try:
        there = open_version(target, name)
    except OSError:
        return False
    try:
        tree.compare(there, known, arch)
        return tree.read_manifest(there) == known.text
    except tree.Unlike:
        return False
    finally:
        os.close(there)


def _bring(source: int, target: int, name: str, known: Manifest, arch: str, bundle: str) -> None:
    """Copies the bundle beside its place, compares what is there with the manifest, and renames it into its place."""
    here, folder = scratch.make(target)
    try:
        tree.copy(source, folder, known)
        tree.put(folder, manifest.NAME, known.text)
        os.symlink(f"{arch}/{LIBRARY}", LIBRARY, dir_fd=folder)
        os.fchmod(folder, 0o755)
        tree.open_up(folder)
        _compare_new(folder, known, arch)
        _place(target, here, name, known, arch)
        os.fsync(target)
    except tree.Unlike as unlike:
        raise Trouble(f"--from {bundle}: {unlike}: get the bundle anew", BUNDLE) from None
    finally:
        scratch.remove(target, here)  # nothing, after the rename
        os.close(folder)


def _compare_new(folder: int, known: Manifest, arch: str) -> None:
    """What was just written, read again. A difference isn't the bundle's fault."""
    try:
        tree.compare(folder, known, arch)
    except tree.Unlike as unlike:
        raise tree.Target(OSError(errno.EIO, f"doesn't keep what is written ({unlike})")) from None


def _place(target: int, here: str, name: str, known: Manifest, arch: str) -> None:
    """The rename. Who was faster with the same bundle has won; what is damaged makes room."""
    for _ in range(16):
        try:
            return os.rename(here, name, src_dir_fd=target, dst_dir_fd=target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if _whole(target, name, known, arch):
            return None
        away = scratch.name("old")
        try:
            os.rename(name, away, src_dir_fd=target, dst_dir_fd=target)
        except FileNotFoundError:  # another install did so just now
            continue
        scratch.remove(target, away)
    raise OSError(errno.EBUSY, f"other programs keep changing {name}")


def now(target: int) -> str | None:
    """What `current` leads to."""
    try:
        return os.readlink(CURRENT, dir_fd=target)
    except OSError:
        return None


def point(target: int, path: str, name: str) -> bool:
    """`current` -> name, by one rename; False: so it was. Raises Trouble and OSError."""
    if now(target) == name:
        return False
    try:
        os.stat(CURRENT, dir_fd=target, follow_symlinks=False)
        if now(target) is None:
            raise Trouble(f"--to {path}: {CURRENT} is there and no link: move it away", CONFLICT)
    except FileNotFoundError:
        pass
    link = scratch.name("link")
    os.symlink(name, link, dir_fd=target)
    try:
        os.rename(link, CURRENT, src_dir_fd=target, dst_dir_fd=target)
    except OSError:
        os.unlink(link, dir_fd=target)
        raise
    os.fsync(target)
    return True
