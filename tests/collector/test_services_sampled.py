# SPDX-License-Identifier: Apache-2.0
"""/api/services of applications whose traces are sampled: rate, errors and percentiles come from their histograms."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.collector.conftest import Running, eventually
from tests.support.traced import BOOT, clean_environ

PROGRAM = """
import sys, time
from pillion import wsgi
def application(environ, start):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.06)
    start("503 No" if environ["PATH_INFO"] == "/refused" else "200 OK", [])
    return [b""]
app = wsgi.wrap(application)
def ask(path):
    app({"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.url_scheme": "http"}, lambda *a: None)
for number in range(400):
    ask("/refused" if number % 10 == 0 else "/")
for _ in range(10):
    ask("/slow")
"""


def service(collector: Running, sampler: str) -> dict[str, Any]:
    more = {"PYTHONPATH": str(BOOT), "PILLION_RUN_DIR": str(collector.run_dir), "OTEL_SERVICE_NAME": "shop"}
    share = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0.05"}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=clean_environ(**more, **share), timeout=60)
    assert ended.returncode == 0

    def found() -> Any:
        return [one for one in collector.get("/api/services?from=-10m")["services"] if one["requests"] == 410]

    (one,) = eventually(found) or [collector.get("/api/services?from=-10m")["services"]]
    assert isinstance(one, dict), one
    return one


@pytest.mark.parametrize("sampler", ["traceidratio", "always_off", "always_on"])
def test_requests_and_errors_are_exact_at_every_sampling_rate(collector: Running, sampler: str) -> None:
    one = service(collector, sampler)
    assert (one["name"], one["requests"], one["errors"]) == ("shop", 410, 40)
    assert one["error_rate"] == pytest.approx(40 / 410, abs=1e-6) and one["instances"] == 1
    assert one["source"] == ("spans" if sampler == "always_on" else "metrics")
    assert (one["spans"] == 0) == (sampler == "always_off") and one["spans"] <= 410
    assert 0 < one["p50_ns"] <= one["p95_ns"] <= one["p99_ns"] and one["p99_ns"] > 50_000_000
    assert one["rate"] > 0 and int(one["last_ns"]) > 0
    assert sum(step["requests"] for step in one["sparkline"]) == 410
    assert sum(step["errors"] for step in one["sparkline"]) == 40
