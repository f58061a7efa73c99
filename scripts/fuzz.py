# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzz targets of native/fuzz:  scripts/fuzz.py --seconds N [TARGET…]

The time is shared among the targets. Inputs that found something new are kept in build/fuzz-corpus/TARGET; what crashed
one lies in build/fuzz-crash/ and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def targets() -> list[str]:
    return sorted(path.stem for path in (ROOT / "native" / "fuzz").glob("fuzz_*.c"))


def missing() -> str | None:
    """What this machine lacks for fuzzing, or None."""
    if not shutil.which("clang"):
        return "clang (package clang)"
    probe = ["clang", "-fsanitize=fuzzer", "-x", "c", "-", "-o", "/dev/null"]
    source = "#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n) { return d && n ? 0 : 0; }"
    if subprocess.run(probe, input=source, text=True, capture_output=True).returncode:
        return "libFuzzer (package libclang-rt-dev or libclang-rt-<version of clang>-dev)"
    return None


def build() -> None:
    subprocess.run(["scripts/build.sh", "fuzz", *targets()], cwd=ROOT, check=True)


def fuzz(target: str, seconds: int) -> subprocess.CompletedProcess[str]:
    """One target for so long. Seeds, if there are some, lie in native/fuzz/seeds/TARGET."""
    corpus, crashes = ROOT / "build" / "fuzz-corpus" / target, ROOT / "build" / "fuzz-crash"
    corpus.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    seeds = ROOT / "native" / "fuzz" / "seeds" / target
    folders = [str(corpus), *([str(seeds)] if seeds.is_dir() else [])]
    limits = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    command = [str(ROOT / "build" / "fuzz" / target), *limits, f"-artifact_prefix={crashes}/{target}-", *folders]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds + 120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("target", nargs="*", help="default: all")
    options = parser.parse_args()
    lacking = missing()
    if lacking:
        print(f"fuzzing needs {lacking}", file=sys.stderr)
        return 2
    build()
    chosen = options.target or targets()
    failed = 0
    for target in chosen:
        ended = fuzz(target, max(1, options.seconds // len(chosen)))
        runs = next((line for line in ended.stderr.splitlines() if "number_of_executed_units" in line), "")
        print(f"{target}: {'ok' if not ended.returncode else 'FAILED'} {runs.rpartition(' ')[2]} runs")
        if ended.returncode:
            failed = 1
            print(ended.stderr[-4000:], file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
