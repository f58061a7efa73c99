# SPDX-License-Identifier: Apache-2.0
"""`make bench`: the figures of this checkout next to the peers', in one run, into build/bench and the README.

python -m tests.bench [--quick] [--only NAME …]     names: span hook fork startup app_a app_c payload collector
With --quick or --only the README stays as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench import payload, peers, processes, servers, table

OUT = peers.ROOT / "build" / "bench"
UNSAMPLED = {"OTEL_TRACES_SAMPLER": "always_off", "DD_TRACE_SAMPLING_RULES": '[{"sample_rate": 0}]'}


@contextlib.contextmanager
def sinks() -> Iterator[dict[str, str]]:
    """The peers' collectors, in a process of their own."""
    command = [sys.executable, "-m", "tests.bench.sinks"]
    process = subprocess.Popen(command, cwd=peers.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


class Bench:
    """One run: the variants, how often, and each measurement by name."""

    def __init__(self, addresses: dict[str, str], run_dir: str, quick: bool) -> None:
        self.quick = quick
        self.addresses = addresses
        self.variants = peers.variants(addresses["otlp"], addresses["agent"], run_dir)
        self.full = [self.variants[name] for name in ("bare", "pillion", "otel", "ddtrace")]

    def span(self) -> Any:
        times, rounds = (1, 5) if self.quick else (5, 20)
        return processes.medians(processes.program("span_cost", self.full[1:], times, rounds, 1000))

    def hook(self) -> Any:
        times, rounds = (2, 5) if self.quick else (7, 15)
        samples = processes.program("hook_cost", self.full, times, rounds, 20_000, **UNSAMPLED)
        return processes.added(samples, "call_ns")

    def fork(self) -> Any:
        times, rounds = (1, 3) if self.quick else (5, 7)
        samples = processes.program("fork_cost", self.full, times, rounds, 20)
        bare = processes.medians(samples)["bare"]
        return {"bare": bare} | {figure: processes.added(samples, figure) for figure in ("fork_us", "recording_us")}

    def startup(self) -> Any:
        samples = processes.startup(self.full, 3 if self.quick else 15)
        return {figure: processes.added(samples, figure) for figure in ("pass_ms", "command_ms", "import_ms")}

    def app_a(self) -> Any:
        rounds, requests = (4, 100) if self.quick else (80, 75)
        found = servers.measure(list(self.variants.values()), "app_a", rounds, requests)
        with urllib.request.urlopen(self.addresses["agent"] + "/seen", timeout=10) as answer:
            silent = [name for name, count in json.load(answer).items() if not count]
        if silent:
            raise SystemExit(f"no spans came from {', '.join(silent)}: its figures mean nothing")
        return found

    def app_c(self) -> Any:
        rounds, requests = (4, 50) if self.quick else (60, 50)
        return servers.measure(self.full, "app_c", rounds, requests, NEIGHBOUR_URL=self.addresses["agent"] + "/seen")

    def payload(self) -> Any:
        return payload.measure()

    def collector(self) -> Any:
        if importlib.util.find_spec("tests.bench.bench_collector") is None:
            return None
        module = importlib.import_module("tests.bench.bench_collector")
        return module.measure(quick=self.quick)


NAMES = ("span", "hook", "fork", "startup", "payload", "app_a", "app_c", "collector")


def versions() -> dict[str, str]:
    """What is compared, as installed."""
    found = {}
    for name, package in (("otel", "opentelemetry-distro"), ("ddtrace", "ddtrace")):
        python = str(peers.VENVS / name / "bin" / "python")
        ask = f"import importlib.metadata as m; print(m.version({package!r}))"
        found[name] = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    found["pillion"] = importlib.metadata.version("pillion")
    return found


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} cores{f' of {model}' if model else ''}, Linux {platform.release()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fraction of the rounds; README untouched")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="some of the figures; README untouched")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    peers.prepare()
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "python": platform.python_version(),
        "versions": versions(),
    }
    run_dir = tempfile.mkdtemp(prefix="pillion-bench-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        with sinks() as addresses:
            bench = Bench(addresses, run_dir, options.quick)
            for name in options.only or NAMES:
                print(f"bench: {name}", file=sys.stderr, flush=True)
                measure: Callable[[], Any] = getattr(bench, name)
                result[name] = measure()
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
    (OUT / "result.json").write_text(json.dumps(result, indent=1))
    text = table.report(result)
    (OUT / "table.md").write_text(text)
    print(text)
    if not options.quick and not options.only:
        table.into_readme(Path(peers.ROOT / "README.md"), text)


if __name__ == "__main__":
    main()
