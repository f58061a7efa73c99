# SPDX-License-Identifier: Apache-2.0
"""tree: a bundle's files on disk: opened without following a link, compared with the manifest, copied, made durable.

Everything goes by descriptors of folders: nobody who swaps a folder for a link sends us elsewhere. Wrong content is
`Unlike`, an OSError met on the target's side `Target`. Load: about a hundred files, 3 MB; comparing takes some 10 ms.
"""

from __future__ import annotations

import hashlib
import os
import stat

from pillion_inject.manifest import LIBRARY, MANIFEST_BYTES, NAME, File, Manifest

CHUNK = 1 << 20
_PLAIN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
FOLDER = _PLAIN | os.O_DIRECTORY


class Unlike(Exception):
    """A file is not what the manifest says; the text is `path: what is wrong`."""


class Target(Exception):
    """An OSError of the target, met while the source was read too."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def open_folder(root: int, parts: list[str], make: bool = False) -> int:
    """A descriptor of root/parts, no part of which may be a link; `make`: made where missing. The caller closes it."""
    here = os.dup(root)
    try:
        for part in parts:
            if make:
                try:
                    os.mkdir(part, 0o700, dir_fd=here)
                except FileExistsError:
                    pass
            below = os.open(part, FOLDER, dir_fd=here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def open_file(root: int, path: str) -> int:
    """A descriptor of a plain file below root. Raises Unlike, also where a link, a pipe or nothing lies there."""
    *folders, name = path.split("/")
    try:
        folder = open_folder(root, folders)
        try:
            file = os.open(name, _PLAIN | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise Unlike(f"{path}: is missing") from None
        if isinstance(error, PermissionError):
            raise Unlike(f"{path}: can't be read by uid {os.getuid()}") from None
        raise Unlike(f"{path}: is no plain file below the bundle ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise Unlike(f"{path}: is no plain file")
    return file


def read_manifest(root: int) -> bytes:
    """The text of manifest.json. Raises Unlike."""
    file = open_file(root, NAME)
    try:
        text = b""
        while len(text) <= MANIFEST_BYTES:
            part = _read(file, NAME)
            if not part:
                return text
            text += part
    finally:
        os.close(file)
    raise Unlike(f"{NAME}: has more than {MANIFEST_BYTES} bytes")


def _check(root: int, file: File, into: int | None = None) -> int:
    """Reads one file through, into another one if given; raises Unlike. Gives its mode."""
    descriptor = open_file(root, file.path)
    digest, seen = hashlib.sha256(), 0
    try:
        while seen <= file.bytes:
            part = _read(descriptor, file.path)
            if not part:
                break
            seen += len(part)
            digest.update(part)
            if into is not None:
                _write(into, part)
        mode = os.fstat(descriptor).st_mode & 0o7777
    finally:
        os.close(descriptor)
    if seen != file.bytes:
        raise Unlike(f"{file.path}: has {'more' if seen > file.bytes else 'less'} than {file.bytes} bytes")
    if digest.hexdigest() != file.sha256:
        raise Unlike(f"{file.path}: has the wrong checksum")
    return mode


def _read(descriptor: int, path: str) -> bytes:
    try:
        return os.read(descriptor, CHUNK)
    except OSError as error:
        raise Unlike(f"{path}: {error.strerror}") from None


def _write(into: int, part: bytes) -> None:
    try:
        while part:
            part = part[os.write(into, part) :]
    except OSError as error:
        raise Target(error) from error


def copy(source: int, target: int, manifest: Manifest) -> None:
    """All files of the manifest from one folder into another, empty one. Raises Unlike (source) and Target."""
    for file in manifest.files:
        into = _create(target, file.path)
        try:
            _check(source, file, into)
            _settle(into, file.mode)
        finally:
            os.close(into)


def put(target: int, name: str, content: bytes) -> None:
    """A new file of our own. Raises Target."""
    into = _create(target, name)
    try:
        _write(into, content)
        _settle(into, 0o644)
    finally:
        os.close(into)


def _create(target: int, path: str) -> int:
    *folders, name = path.split("/")
    try:
        folder = open_folder(target, folders, make=True)
        try:
            return os.open(
                name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
            )
        finally:
            os.close(folder)
    except OSError as error:
        raise Target(error) from error


def _settle(into: int, mode: int) -> None:
    try:
        os.fchmod(into, mode)
        os.fsync(into)
    except OSError as error:
        raise Target(error) from error


def open_up(root: int) -> None:
    """Every folder below root readable by any user, writable by its owner alone, and on disk. Raises Target."""
    try:
        for _, folders, _, here in os.fwalk(".", topdown=False, dir_fd=root):
            for name in folders:
                os.chmod(name, 0o755, dir_fd=here)
            os.fsync(here)
    except OSError as error:
        raise Target(error) from error


def compare(root: int, manifest: Manifest, arch: str | None) -> None:
    """Raises Unlike unless the installed folder is the manifest's: content, modes, nothing that doesn't belong there.

    `arch`: what the library's link must lead to, None: any of the bundle's."""
    for file in manifest.files:
        mode = _check(root, file)
        if mode != file.mode:
            raise Unlike(f"{file.path}: has mode {mode:04o}, not {file.mode:04o}")
    try:
        link = os.readlink(LIBRARY, dir_fd=root)
    except OSError:
        raise Unlike(f"{LIBRARY}: is missing, or no link") from None
    if link not in [f"{each}/{LIBRARY}" for each in ([arch] if arch else manifest.arches)]:
        raise Unlike(f"{LIBRARY}: leads to {link}")
    _nothing_else(root, {file.path for file in manifest.files} | {NAME, LIBRARY})


def _nothing_else(root: int, known: set[str]) -> None:
    """A file that is not listed could be imported all the same; what Python itself keeps there is left alone."""
    for where, folders, names, here in os.fwalk(".", dir_fd=root):
        below = where[2:] + "/" if where != "." else ""
        mode = os.fstat(here).st_mode & 0o7777
        if mode & 0o022 or mode & 0o555 != 0o555:
            raise Unlike(f"{below or 'its folder'}: has mode {mode:04o}, not 0755")
        if "__pycache__" in folders:
            folders.remove("__pycache__")
        for name in names:
            if below + name not in known:
                raise Unlike(f"{below + name}: does not belong there")
