# SPDX-License-Identifier: Apache-2.0
"""code: the package's Python files for the bundle: their text, and for each CPython one file code/cpXY of packed code.

code/cpXY: the CPython's magic number (4 bytes), the length of the index (4, little endian), the index, the blocks.
The index is marshal of ({arch: sizes of its two libraries}, {block: (begin, end, unpacked size)},
{module: (text's path, block, begin, end)}); scripts/bundle/loader.py reads it, and native/unpack.c the blocks.
"""

from __future__ import annotations

import io
import json
import marshal
import subprocess
import zipfile
from pathlib import Path
from typing import NamedTuple

from scripts.bundle.pack import pack

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "agent"
LOADER = Path(__file__).with_name("loader.py")
INIT = "pillion/__init__.py"
# Of whoever installed pillion: nothing imports them in an application.
COMMANDS = ("__main__", "run", "reasons", "guarded")  # and why*
# What each start imports: packed together, so that it is unpacked at once. tests/bundle holds this against a start.
# Of these the text is in the bundle as well: it serves where the packed code doesn't, and says why there is no more.
START = (
    "start",
    "config",
    "guard",
    "rundir",
    "endpoint",
    "resource",
    "probation",
    "runtime_metrics",
    "hooks/__init__",
    "patch",
)


class Compiled(NamedTuple):
    """One CPython's code, by path in the tree."""

    magic: bytes
    codes: dict[str, bytes]


def inject() -> bytes:
    """pillion_inject as a zip file that Python runs (`python3 BUNDLE/pillion_inject`): a third of its size."""
    package = AGENT / "pillion_inject"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for path in [package / "__main__.py", *sorted(package.glob("*.py"))]:
            name = path.name if path.name == "__main__.py" else f"{package.name}/{path.name}"
            if name not in file.namelist():
                file.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)  # all of one date
    return made.getvalue()


def sources() -> dict[str, str]:
    """Text by path in the bundle, of all that is injected."""
    found = {}
    for path in sorted((AGENT / "pillion").rglob("*.py")):
        name = path.relative_to(AGENT).as_posix()
        if path.stem not in COMMANDS and not path.stem.startswith("why"):
            found[name] = path.read_text()
    found[INIT] += "\n\n# " + LOADER.read_text().split("# --- ", 1)[1]
    return found


def readable(texts: dict[str, str]) -> dict[str, str]:
    """Those that lie in the bundle as text."""
    kept = {f"pillion/{name}.py" for name in START} | {INIT}
    return {name: text for name, text in texts.items() if name in kept or name.startswith("pillion/boot/")}


def compile_for(python: list[str], texts: dict[str, str]) -> Compiled:
    """What this interpreter makes of the texts."""
    lines = "".join(json.dumps([name, text]) + "\n" for name, text in texts.items())
    command = [*python, "-I", "-X", "no_debug_ranges", str(Path(__file__).with_name("compile_code.py"))]
    ended = subprocess.run(command, input=lines.encode(), capture_output=True)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{ended.stderr.decode()[-3000:]}")
    magic, codes = marshal.loads(ended.stdout)
    return Compiled(magic, dict(zip(texts, codes, strict=True)))


def pyc(compiled: Compiled, text: str) -> bytes:
    """__init__'s own file, which any start finds: by the hash of its text, which is asked for nowhere."""
    import importlib.util

    return compiled.magic + b"\1\0\0\0" + importlib.util.source_hash(text.encode()) + compiled.codes[INIT]


def packed(compiled: Compiled, sizes: dict[str, tuple[int, ...]]) -> bytes:
    """code/cpXY: `sizes` are those of the core and the native module, by architecture."""
    blocks: dict[str, bytearray] = {"start": bytearray(), "rest": bytearray()}
    modules: dict[str, tuple[str, str, int, int]] = {}
    for path, code in compiled.codes.items():
        if path == INIT or path.startswith("pillion/boot/"):
            continue
        block = "start" if path[len("pillion/") : -len(".py")] in START else "rest"
        begin = len(blocks[block])
        blocks[block] += code
        modules[path[: -len(".py")].removesuffix("/__init__").replace("/", ".")] = (
            path,
            block,
            begin,
            len(blocks[block]),
        )
    bodies, places, at = b"", {}, 0
    for name, data in blocks.items():
        body = pack(bytes(data))
        places[name] = at, at + len(body), len(data)
        bodies += body
        at += len(body)
    index = marshal.dumps((sizes, places, modules), 2)  # 2: the same bytes whatever made it, and all CPythons read it
    return compiled.magic + len(index).to_bytes(4, "little") + index + bodies
