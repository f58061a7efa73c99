# SPDX-License-Identifier: Apache-2.0
"""native: the bundle's libraries, compiled by zig (ziglang of PyPI) for each architecture.

libpillion_core.so is everything below the interpreter, once an architecture. Each cpXY/_native.so is the interpreter's
side and finds it by $ORIGIN, which glibc and musl both know. Between the two the linker gives every name a prefix
(--wrap here, --defsym there), so that no program's own function of such a name comes between. Both are linked against
a libc.so.6 that consists of native/bundle/libc.symbols alone: what is not in every libc is an error of the build.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.bundle import elf

ROOT = Path(__file__).resolve().parents[2]
NATIVE, WORK = ROOT / "native", ROOT / "build" / "bundle"
NGHTTP2 = ROOT / "build" / "nghttp2-src" / "lib"
ARCHES = ("x86_64", "aarch64")
GLIBC = "2.17"
CORE = "libpillion_core.so"
PREFIX = "__wrap_"  # what --wrap makes of a name


def words(text: str) -> list[str]:
    """Flags and names are read more easily as they are typed."""
    return text.split()


CFLAGS = words("""
    -std=gnu11 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -fno-sanitize=all
    -U_FORTIFY_SOURCE -fno-stack-protector -fno-omit-frame-pointer -fno-math-errno -DNDEBUG -D_GNU_SOURCE=
    -DNGHTTP2_STATICLIB""")
WARNINGS = words("-Wall -Wextra -Werror -Wstrict-prototypes -Wno-missing-field-initializers")
SMALL = words("-Os -Xclang -Oz")  # zig takes -Oz for -Os
# These files' frames lie below the application's, and debuggers and profilers must get past them: they have unwind
# tables, which are an eighth of a library. The others' lie on top, for moments; all have frame pointers.
UNDER = words("""
    module_asgi module_asgi_send module_carry module_red module_scope module_wrap module_wsgi module_wsgi_body""")
BARE_CFLAGS = words("-fno-asynchronous-unwind-tables -fno-unwind-tables")
ARCH_CFLAGS = {"x86_64": [], "aarch64": ["-mno-outline-atomics"]}  # whose helpers would be a library's
NGHTTP2_CFLAGS = words("""
    -w -DHAVE_ARPA_INET_H -DHAVE_NETINET_IN_H -DHAVE_TIME_H -DHAVE_CLOCK_GETTIME -DHAVE_DECL_CLOCK_MONOTONIC=1""")
LDFLAGS = words("""
    -shared --gc-sections -s --hash-style=gnu --build-id=none --eh-frame-hdr -z now -z relro -z noexecstack""")
# A span's way. The rest runs once a process, a batch or an error, and is compiled for size.
HOT = words("""
    authority baggage clock core core_metrics ids intern metrics otlp_span otlp_wire propagate red ring ring_flight
    ring_walk span span_items sql sql_lex unpack module_asgi module_asgi_send module_call module_carry module_context
    module_describe module_red module_request module_scope module_span module_text module_value module_wrap module_wsgi
    module_wsgi_body""")


def zig() -> str:
    """The compiler's own file: its Python entry would be started a thousand times."""
    import ziglang  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return str(Path(ziglang.__file__).parent / "zig")


def run(command: list[str], **variables: str) -> None:
    """Raises RuntimeError with what the command said."""
    cache = str(WORK / "zig")
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache, **variables}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} …\n{ended.stdout[-3000:]}{ended.stderr[-6000:]}")


class Arch:
    """The build for one architecture, in build/bundle/ARCH; its products in OUT/ARCH."""

    def __init__(self, name: str, out: Path) -> None:
        self.name, self.work, self.out = name, WORK / name, out / name
        self.target = f"{name}-linux-gnu.{GLIBC}"
        self.core: list[Path] = []

    def compile(self, sources: list[Path], folder: str, flags: list[str]) -> list[Path]:
        """Object files of these sources; zig's cache knows which are new."""
        made = self.work / folder
        made.mkdir(parents=True, exist_ok=True)

        def one(source: Path) -> Path:
            target = made / f"{source.stem}.o"
            own = ["-O2"] if source.stem in HOT else SMALL
            own = own if source.stem in UNDER else [*own, *BARE_CFLAGS]
            flagged = [*CFLAGS, *ARCH_CFLAGS[self.name], *flags, *own, "-c", str(source), "-o", str(target)]
            run([zig(), "cc", "-target", self.target, *flagged])
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(one, sources))

    def link(self, objects: list[Path], target: Path, flags: list[str]) -> None:
        """A shared library of these objects and whatever it needs of libc."""
        target.parent.mkdir(parents=True, exist_ok=True)
        listed = [*map(str, objects), str(self.libc())]
        run([zig(), "ld.lld", *LDFLAGS, *flags, "-o", str(target), *listed])

    def libc(self) -> Path:
        """The libc.so.6 to link against: nothing but names and versions."""
        made = self.work / "libc.so.6"
        if made.exists():
            return made
        self.work.mkdir(parents=True, exist_ok=True)
        rows = libc_symbols(self.name)
        assembly, script = made.with_suffix(".s"), made.with_suffix(".map")
        lines = [f".globl {name}\n.type {name}, %function\n{name}:\n" for name in rows]
        assembly.write_text(".text\n" + "".join(lines))
        versions: dict[str, list[str]] = {}
        for name, version in rows.items():
            versions.setdefault(version, []).append(name)
        script.write_text(
            "".join(f"{version} {{ global: {'; '.join(names)}; }};\n" for version, names in versions.items())
        )
        compiled = made.with_suffix(".o")
        run([zig(), "cc", "-target", self.target, "-c", str(assembly), "-o", str(compiled)])
        soname = ["-soname", "libc.so.6", "--version-script", str(script)]
        run([zig(), "ld.lld", "-shared", *soname, "-o", str(made), str(compiled)])
        return made

    def prepare(self) -> None:
        """Compiles the part without an interpreter."""
        (self.work / "libc.so.6").unlink(missing_ok=True)
        ours = [path for path in sorted(NATIVE.glob("*.c")) if is_core(path.stem)]
        includes = [f"-I{NATIVE}", *nghttp2_includes()]
        portable = ["-include", str(NATIVE / "bundle" / "portable.h")]
        self.core = self.compile(ours, "core", [*WARNINGS, *portable, *includes])
        flags = [*NGHTTP2_CFLAGS, *portable, *includes]
        self.core += self.compile(sorted(NGHTTP2.glob("*.c")), "nghttp2", flags)

    def build(self, pythons: dict[str, Path]) -> None:
        """The core, and a module for each version and its headers."""
        self.prepare()
        modules = {python: self.module(python, headers) for python, headers in pythons.items()}
        wanted = sorted({name for objects in modules.values() for name in undefined(objects)} & defined(self.core))
        core = self.link_core(wanted)
        script = self.work / "module.map"
        script.write_text("{ global: PyInit__native; local: *; };\n")
        flags = ["--version-script", str(script), "-rpath", "$ORIGIN/..", "--enable-new-dtags"]
        flags += [f"--wrap={name}" for name in wanted]
        for python, objects in modules.items():
            self.link([*objects, core], self.out / tag(python) / "_native.so", flags)
        self.preload()

    def module(self, python: str, headers: Path) -> list[Path]:
        """The interpreter's side for this version, e.g. 3.11."""
        flags = [*WARNINGS, "-include", str(NATIVE / "bundle" / "portable.h"), f"-I{NATIVE}", "-isystem", str(headers)]
        return self.compile(sorted(NATIVE.glob("module*.c")), tag(python), flags)

    def link_core(self, wanted: list[str]) -> Path:
        """The core, which offers these names and no others."""
        script = self.work / "core.map"
        script.write_text("{ global: " + "".join(f"{PREFIX}{name}; " for name in wanted) + "local: *; };\n")
        flags = [f"--defsym={PREFIX}{name}={name}" for name in wanted]
        flags += ["-z", "defs", "-soname", CORE, "--version-script", str(script)]
        self.link(self.core, self.out / CORE, flags)
        return self.out / CORE

    def preload(self) -> None:
        """libpillion.so, whose flags are its own script's."""
        self.out.mkdir(parents=True, exist_ok=True)
        script = str(NATIVE / "preload.sh")
        compiler = [zig(), "cc", "-target", self.target]
        run([script, str(self.out / "libpillion.so"), self.name, *compiler], LINKER=f"{zig()} ld.lld")


def is_core(stem: str) -> bool:
    """Rides in the application, and knows no interpreter."""
    return not stem.startswith(("module", "decode", "preload"))


def tag(python: str) -> str:
    """3.11 -> cp311"""
    return "cp" + python.replace(".", "")


def libc_symbols(arch: str) -> dict[str, str]:
    """Name -> version of what may be used of libc: native/bundle/libc.symbols."""
    found: dict[str, str] = {}
    version = ""
    for line in (NATIVE / "bundle" / "libc.symbols").read_text().splitlines():
        if line.startswith("#"):
            continue
        for word in line.split():
            if word.endswith(":"):
                version = word[:-1]
            else:
                found[word] = version if arch == "x86_64" else f"GLIBC_{GLIBC}"
    return found


def nghttp2_includes() -> list[str]:
    """Where its headers are; a source package has only a template of the one with its version."""
    made = WORK / "nghttp2"
    header = NGHTTP2 / "includes" / "nghttp2" / "nghttp2ver.h"
    if not header.exists():
        (made / "nghttp2").mkdir(parents=True, exist_ok=True)
        text = (header.parent / "nghttp2ver.h.in").read_text()
        configured = (NGHTTP2.parent / "configure.ac").read_text()
        version = configured.split("AC_INIT([nghttp2], [")[1].split("]")[0].split("-")[0]
        number = "0x" + "".join(f"{int(part):02x}" for part in version.split("."))
        text = text.replace("@PACKAGE_VERSION@", version).replace("@PACKAGE_VERSION_NUM@", number)
        (made / "nghttp2" / "nghttp2ver.h").write_text(text)
    return [f"-I{NGHTTP2 / 'includes'}", f"-I{made}"]


def undefined(objects: list[Path]) -> set[str]:
    """Names that these object files use and none of them has."""
    symbols = [symbol for path in objects for symbol in elf.Elf(path.read_bytes()).symbols(elf.SYMTAB)]
    return {symbol.name for symbol in symbols if not symbol.defined} - {s.name for s in symbols if s.defined}


def defined(objects: list[Path]) -> set[str]:
    """Names that these object files have."""
    return {
        symbol.name for path in objects for symbol in elf.Elf(path.read_bytes()).symbols(elf.SYMTAB) if symbol.defined
    }
