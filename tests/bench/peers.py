# SPDX-License-Identifier: Apache-2.0
"""The variants that are compared, each in a virtual environment of its own under build/bench-venv.

`bare` holds the applications' libraries only, and is what runs under pillion too: pillion comes from this checkout by
its boot folder. The peers get the same libraries plus themselves. A stamp file makes the second time quick.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENVS = ROOT / "build" / "bench-venv"
APPS = ["flask", "gunicorn", "requests", "sqlalchemy<2.1"]  # the newest that every peer instruments
PACKAGES = {
    "bare": [],
    "otel": [
        "opentelemetry-distro",
        "opentelemetry-exporter-otlp-proto-grpc",
        *(f"opentelemetry-instrumentation-{each}" for each in ("flask", "jinja2", "sqlite3", "requests", "urllib3")),
        *(f"opentelemetry-instrumentation-{each}" for each in ("sqlalchemy", "logging", "wsgi")),
    ],
    "ddtrace": ["ddtrace"],
}
SETTINGS = {
    "pillion": {"OTEL_SERVICE_NAME": "bench"},
    "otel": {
        "OTEL_SERVICE_NAME": "bench",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
    },
    "ddtrace": {
        "DD_SERVICE": "bench",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_TRACE_STARTUP_LOGS": "false",
    },
}
ONE_PERCENT = {
    "pillion": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "otel": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "ddtrace": {"DD_TRACE_SAMPLING_RULES": '[{"sample_rate": 0.01}]'},
}


@dataclass(frozen=True)
class Variant:
    """One column of the comparison: which environment, which variables, which command stands before the app's."""

    name: str
    venv: Path
    variables: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        return str(self.venv / "bin" / "python")

    def environment(self, **more: str) -> dict[str, str]:
        """A plain environment: nothing of the caller's tracing, and no bytecode written while the clock runs."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        return kept | {"PATH": f"{self.venv / 'bin'}:{kept['PATH']}"} | self.variables | more


def prepare() -> None:
    """Makes the environments that are missing or out of date."""
    for name, packages in PACKAGES.items():
        venv, wanted = VENVS / name, "\n".join([sys.version, *APPS, *packages])
        stamp = venv / "ready"
        if stamp.exists() and stamp.read_text() == wanted:
            continue
        print(f"bench: making {venv.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        subprocess.run([*pip, *APPS, *packages], check=True)
        stamp.write_text(wanted)


def injected(venv: Path, name: str) -> str:
    """The folder that brings an agent into a process by PYTHONPATH alone."""
    if name == "pillion":
        return str(ROOT / "agent" / "pillion" / "boot")
    inside = {"otel": "opentelemetry/instrumentation/auto_instrumentation", "ddtrace": "ddtrace/bootstrap"}[name]
    return str(next(venv.glob("lib/python*/site-packages")) / inside)


def variants(otlp: str, agent: str, run_dir: str) -> dict[str, Variant]:
    """All columns. `otlp` is host:port of the OTLP sink, `agent` the URL of ddtrace's, `run_dir` pillion's folder."""
    pillion = SETTINGS["pillion"] | {"PILLION_RUN_DIR": run_dir, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp}"}
    otel = SETTINGS["otel"] | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp}"}
    ddtrace = SETTINGS["ddtrace"] | {"DD_TRACE_AGENT_URL": agent}
    bare = VENVS / "bare"
    ours = (sys.executable, "-m", "pillion", "run", "--")
    rows = [Variant("bare", bare)]
    for suffix, sampled in (("", False), (" 1 %", True)):
        chosen = {name: each if sampled else {} for name, each in ONE_PERCENT.items()}
        rows += [
            Variant("pillion" + suffix, bare, pillion | chosen["pillion"], ours),
            Variant("otel" + suffix, VENVS / "otel", otel | chosen["otel"], ("opentelemetry-instrument",)),
            Variant("ddtrace" + suffix, VENVS / "ddtrace", ddtrace | chosen["ddtrace"], ("ddtrace-run",)),
        ]
    return {row.name: row for row in rows}
