# SPDX-License-Identifier: Apache-2.0
"""What the collector sees, as a few lines of text: read from its JSON API, drawn in place on a terminal."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any, TextIO
from urllib.request import urlopen


def read(url: str, path: str) -> Any:
    """One answer of the API."""
    with urlopen(url + path, timeout=5) as answer:
        return json.load(answer)


def milliseconds(ns: float | None) -> str:
    return "-" if ns is None else f"{ns / 1e6:.1f} ms"


def lines(api: str) -> list[str]:
    """The table of services, the processes, and the newest failed trace."""
    rows = [f"{'service':<12}{'requests':>9}{'rate':>9}{'errors':>8}{'p50':>11}{'p95':>11}{'p99':>11}{'spans':>8}"]
    for each in read(api, "/api/services?from=-5m")["services"]:
        times = "".join(f"{milliseconds(each[name]):>11}" for name in ("p50_ns", "p95_ns", "p99_ns"))
        share = f"{each['error_rate'] * 100:.1f} %"
        rows.append(f"{each['name']:<12}{each['requests']:>9}{each['rate']:>7.1f}/s{share:>8}{times}{each['spans']:>8}")
    alive = [each for each in read(api, "/api/processes")["processes"] if each["alive"]]
    memory = sum(each["memory_bytes"] or 0 for each in alive) / 1e6
    cpu = sum(each["cpu"] or 0 for each in alive) * 100
    rows.append(f"{len(alive)} processes: {cpu:.0f} % CPU, {memory:.0f} MB")
    failed = read(api, "/api/traces?status=error&limit=1")["traces"]
    if failed:
        newest = failed[0]
        rows.append(f"newest failure: {newest['root_service']} {newest['root_name']}")
        rows.append(f"    {api}/#/trace/{newest['trace_id']}")
    return rows


class Board:
    """Shows rows: over the last ones on a terminal, else as plain lines."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self.in_place = out.isatty()
        self._out = out
        self._shown = 0

    def show(self, rows: list[str]) -> None:
        if self.in_place:
            width = shutil.get_terminal_size().columns - 1  # a row that wraps could not be drawn over
            rows = [row[:width] for row in rows]
        if self.in_place and self._shown:
            self._out.write(f"\x1b[{self._shown}A\x1b[J")
        self._out.write("\n".join(rows) + "\n")
        self._out.flush()
        self._shown = len(rows)
