# SPDX-License-Identifier: Apache-2.0
"""traced: runs a program as `pillion run` would, in a run directory of its own on a tmpfs, with a sink as collector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.sink import Sink

AGENT = Path(__file__).resolve().parents[2] / "agent"
BOOT = AGENT / "pillion" / "boot"


def clean_environ(**more: str) -> dict[str, str]:
    """This process's environment without anything that sets pillion, OpenTelemetry or Python's path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PILLION_", "OTEL_", "PYTHON", "COV_"))}
    return {**kept, "PILLION_EXIT_TIMEOUT": "30000", **more}  # a busy machine must not lose a test's spans


@dataclass
class Result:
    """How a program ended."""

    code: int
    out: str
    err: str


@dataclass
class Traced:
    """Programs with the module in them. `bare` runs the same one without, to compare."""

    run_dir: Path
    folder: Path
    sink: Sink

    def environ(self, **more: str) -> dict[str, str]:
        """What a traced process gets."""
        ours = {"PILLION_RUN_DIR": str(self.run_dir), "PILLION_LOG": str(self.folder / "pillion.log")}
        return clean_environ(**{"PYTHONPATH": str(BOOT), **ours, **more})

    def write(self, code: str, name: str = "app.py") -> Path:
        """The program's file."""
        path = self.folder / name
        path.write_text(textwrap.dedent(code))
        return path

    def run(self, code: str, *args: str, python: str = sys.executable, **env: str) -> Result:
        """Runs the code traced; fails the test when it ends in pillion's own error."""
        path = self.write(code)
        return self.execute([python, str(path), *args], self.environ(**env))

    def bare(self, code: str, *args: str, python: str = sys.executable, **env: str) -> Result:
        """Runs the code without the module."""
        return self.execute([python, str(self.write(code)), *args], clean_environ(**env))

    def execute(self, command: list[str], environ: dict[str, str]) -> Result:
        """Runs a command to its end."""
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, cwd=self.folder)
        self.sink.adopt()
        return Result(done.returncode, done.stdout, done.stderr)

    def log(self) -> str:
        """pillion's own log."""
        path = self.folder / "pillion.log"
        return path.read_text() if path.exists() else ""

    def records(self) -> list[dict[str, Any]]:
        """What boot decided, for each process."""
        return [json.loads(path.read_text()) for path in sorted((self.run_dir / "processes").glob("*.json"))]
