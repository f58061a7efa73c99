# SPDX-License-Identifier: Apache-2.0
"""Makes the portable bundle:  python -m scripts.bundle [--out DIR] [--arch ARCH]… [VERSION]…

One folder for CPython 3.8 to 3.15, glibc >= 2.17 and musl, x86_64 and aarch64, in dist/pillion-bundle-VERSION. The same
sources give the same bytes. A version whose headers or interpreter are missing is named, and nothing is made.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from pillion.start import VERSION
from pillion_inject import manifest

from scripts import pythons
from scripts.bundle import check, code, interpreters, native

REMEDY = """\
Missing for the bundle:
{}
Install them (pyenv, or the distribution's python3.X-dev), or leave them out: make bundle PYTHONS="{}"
"""


def make(out: Path, arches: list[str], found: dict[str, str]) -> None:
    """The whole bundle in this folder, which is made anew."""
    shutil.rmtree(out, ignore_errors=True)
    headers = {version: interpreters.headers(version, python) for version, python in found.items()}
    for arch in arches:
        native.Arch(arch, out).build(headers)
    write_code(out, arches, found)
    files = {path.relative_to(out).as_posix(): path for path in sorted(out.rglob("*")) if path.is_file()}
    for path in files.values():
        path.chmod(0o644)
    described = {name: (path.read_bytes(), 0o644) for name, path in files.items()}
    (out / manifest.NAME).write_bytes(manifest.describe(VERSION, arches, list(found), described))


def write_code(out: Path, arches: list[str], found: dict[str, str]) -> None:
    """pillion/, pillion_inject and rules.conf."""
    texts = code.sources()
    for name, text in code.readable(texts).items():
        write(out / name, text.encode())
    for version, python in found.items():
        compiled = code.compile_for([python], texts)
        tag = native.tag(version)
        sizes = {
            arch: tuple((out / arch / name).stat().st_size for name in (native.CORE, f"{tag}/_native.so"))
            for arch in arches
        }
        write(out / "pillion" / "code" / tag, code.packed(compiled, sizes))
        write(
            out / "pillion" / "__pycache__" / f"__init__.{tag.replace('cp', 'cpython-')}.pyc",
            code.pyc(compiled, texts[code.INIT]),
        )
    write(out / "pillion_inject", code.inject())
    write(out / "rules.conf", (code.AGENT / "pillion" / "rules.conf").read_bytes())


def write(path: Path, data: bytes) -> None:
    """With the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def prepare() -> None:
    """What `make build` may have left undone: nghttp2 is always compiled in here."""
    subprocess.run([str(native.NATIVE / "fetch-nghttp2.sh")], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """0, or 1 with the reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=native.ROOT / "dist" / f"pillion-bundle-{VERSION}")
    parser.add_argument("--arch", action="append", choices=native.ARCHES)
    parser.add_argument("version", nargs="*", help=f"of CPython (default: {' '.join(pythons.VERSIONS)})")
    options = parser.parse_args()
    began = time.monotonic()
    os.umask(0o022)
    found, missing = interpreters.find(options.version or list(pythons.VERSIONS))
    if missing or not found:
        print(REMEDY.format("\n".join(f"  {line}" for line in missing), " ".join(found)), file=sys.stderr)
        return 1
    prepare()
    make(options.out, sorted(options.arch or native.ARCHES), found)
    wrong = check.faults(options.out)
    for line in wrong:
        print(f"{options.out.name}: {line}", file=sys.stderr)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: CPython {' '.join(found)}, {size / 1e6:.2f} MB, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
