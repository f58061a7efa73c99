# SPDX-License-Identifier: Apache-2.0
"""Programs of every build, none of them Python: with libpillion.so mapped into them they behave as without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.preloaded import LIBRARY, Preloaded, compile_c

HERE = Path(__file__).resolve().parent / "programs"
NATIVE = HERE.parents[2] / "native"
MIRROR = HERE / "mirror.c"
BUILDS = {
    "static": ["-static"],
    "static and position-independent": ["-static-pie"],
    "position-independent": ["-fPIE", "-pie"],
    "with copy relocations": ["-fno-pic", "-fno-pie", "-no-pie"],
    "bound lazily": ["-Wl,-z,lazy"],
    "bound at once, read-only": ["-Wl,-z,now,-z,relro", "-D_FORTIFY_SOURCE=2", "-O2", "-fstack-protector-all"],
    "with the address sanitizer": ["-fsanitize=address"],
    "with the static address sanitizer": ["-fsanitize=address", "-static-libasan"],
    "with the undefined-behaviour sanitizer": ["-fsanitize=undefined"],
    "with the leak sanitizer": ["-fsanitize=leak"],
    "with gprof": ["-pg"],
    "with threads and dlopen": ["-pthread", "-ldl", "-rdynamic"],
}


def seen(preloaded: Preloaded, program: Path) -> None:
    """The program sees the same in its usual environment, in an empty one and in a strange one."""
    usual = preloaded.same(program, "a", "", "b c", PYTHONPATH="/nowhere", HOME="/")
    assert usual.code == 7 and "variable PYTHONPATH=/nowhere\n" in usual.out and usual.err == "to stderr\n"
    for scrubbed in ({}, {"A": "", "B": "=C=D", "PYTHONPATH": "", "PATH": ""}):
        runs = [
            subprocess.run([program, "x"], env={**scrubbed, **more}, capture_output=True, cwd=preloaded.folder)
            for more in ({}, {"LD_PRELOAD": str(LIBRARY)})
        ]
        assert (runs[0].returncode, runs[0].stdout, runs[0].stderr) == (
            runs[1].returncode,
            runs[1].stdout,
            runs[1].stderr,
        )


@pytest.mark.parametrize("build", BUILDS)
def test_a_program_of_any_build_sees_no_difference(preloaded: Preloaded, build: str) -> None:
    seen(preloaded, compile_c(preloaded.folder / "mirror", MIRROR, *BUILDS[build]))
    assert preloaded.records() == []


def test_copy_relocations_were_among_them(tmp_path: Path) -> None:
    program = compile_c(tmp_path / "mirror", MIRROR, *BUILDS["with copy relocations"])
    told = subprocess.run(["readelf", "-rW", program], capture_output=True, text=True, check=True).stdout
    assert told.count("_COPY ") >= 3


@pytest.mark.parametrize("build", [["-fsanitize=address"], ["-fsanitize=thread"], ["-fsanitize=memory"]])
def test_a_program_of_clangs_sanitizers_sees_no_difference(preloaded: Preloaded, build: list[str]) -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not on this machine")
    seen(preloaded, compile_c(preloaded.folder / "mirror", MIRROR, *build, compiler="clang"))


def test_the_address_sanitizer_still_finds_what_it_is_there_for(preloaded: Preloaded) -> None:
    source = preloaded.folder / "bad.c"
    source.write_text("#include <stdlib.h>\nint main(int n, char **v) { char *p = malloc(8); free(p); return p[n]; }")
    program = compile_c(preloaded.folder / "bad", "-fsanitize=address", source)
    ours, alone = preloaded.command(program), preloaded.alone(program)
    assert ours.code == alone.code == 1
    assert "heap-use-after-free" in ours.err and "heap-use-after-free" in alone.err


def test_a_program_without_a_libc_runs(preloaded: Preloaded) -> None:
    """A strong reference to anything of libc would end it in the loader."""
    loader = subprocess.run(["readelf", "-lW", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    path = loader.split("program interpreter: ")[1].split("]")[0]
    sources = [HERE / "nolibc.c", NATIVE / "bare.c", NATIVE / "bare_text.c"]
    flags = ["-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fPIE", "-pie", f"-Wl,-dynamic-linker,{path}"]
    program = compile_c(preloaded.folder / "nolibc", f"-I{NATIVE}", *flags, *sources)
    assert (preloaded.same(program).out, preloaded.same(program).code) == ("no libc here\n", 9)
    done = subprocess.run([program], env={"LD_PRELOAD": str(LIBRARY), "LD_DEBUG": "libs"}, capture_output=True)
    assert b"libpillion.so" in done.stderr  # it was mapped all the same


@pytest.mark.parametrize("build", [[], ["-static"], ["-no-pie", "-fno-pic"]])
def test_a_program_of_musl_sees_no_difference(preloaded: Preloaded, build: list[str]) -> None:
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not on this machine (package musl-tools)")
    seen(preloaded, compile_c(preloaded.folder / "mirror", MIRROR, *build, compiler="musl-gcc"))


def test_a_thousand_short_shell_commands_do_the_same(preloaded: Preloaded) -> None:
    script = preloaded.folder / "script.sh"
    script.write_text("""\
        i=0
        while [ $i -lt 125 ]; do
            i=$((i + 1))
            /bin/true && /bin/echo "$i" | /bin/cat | /usr/bin/wc -c
            X=$(/usr/bin/env | /bin/grep -v -e LD_PRELOAD -e '^_=' | /usr/bin/sort)
            /bin/false || /bin/test "$X" = "${OLD:-$X}" || exit 3
            OLD=$X
        done
        echo "$X"
        exit 5
    """)
    assert preloaded.same("/bin/sh", script).code == 5
    assert preloaded.records() == [] and preloaded.log() == ""


def test_it_goes_together_with_the_users_own_preload_in_either_order(preloaded: Preloaded) -> None:
    source = preloaded.folder / "own.c"
    source.write_text("#include <unistd.h>\nuid_t getuid(void) { return 4711; }\n")
    own = compile_c(preloaded.folder / "libown.so", "-shared", "-fPIC", source)
    code = "import os; print(os.getuid(), os.environ['LD_PRELOAD'])"
    for order in (f"{own}:{LIBRARY}", f"{LIBRARY}:{own}", f"{LIBRARY} {own}"):
        result = preloaded.run(code, LD_PRELOAD=order)
        assert result.out == f"4711 {order}\n", result.err
    assert [record["decision"] for record in preloaded.records()] == ["injected"] * 3


def test_a_tool_that_links_libpython_and_is_none_is_left_alone(preloaded: Preloaded) -> None:
    gdb = shutil.which("gdb")
    if gdb is None:
        pytest.skip("gdb is not on this machine")
    preloaded.same(gdb, "-nx", "-batch", "-ex", "python import os, sys; print(sys.path, dict(os.environ).get('HOME'))")
    assert all(record["decision"] == "not" for record in preloaded.records())


def test_the_loader_says_nothing_of_it(preloaded: Preloaded) -> None:
    """ldd and the loader's own checks: nothing unresolved, nothing that cannot be preloaded."""
    told = preloaded.command("/bin/sh", "-c", "exec /bin/true", LD_BIND_NOW="1", LD_WARN="1")
    assert (told.code, told.out, told.err) == (0, "", "")
    done = subprocess.run(["ldd", "-r", LIBRARY], capture_output=True, text=True)
    assert "undefined" not in done.stdout + done.stderr and os.access(LIBRARY, os.X_OK)
