# SPDX-License-Identifier: Apache-2.0
"""otel: programs that use OpenTelemetry's API and have its API package alone.

OPENTELEMETRY_API_PATHS may name folders with other versions of opentelemetry-api, as `pip install --target` makes them:
each test that asks for `program` then runs with each of them as well.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from tests.support.traced import Result, Traced

PATHS = ["", *filter(None, os.environ.get("OPENTELEMETRY_API_PATHS", "").split(os.pathsep))]
HEAD = """
import sys
if sys.argv[1]:
    sys.path.insert(0, sys.argv[1])
from opentelemetry import baggage, context, propagate, trace
tracer = trace.get_tracer("shop", "2.1", schema_url="https://example.org/1")
"""


@dataclass
class Program(Traced):
    """Runs code that begins with HEAD."""

    api_path: str = ""

    def good(self, code: str, **env: str) -> Result:
        result = self.run(HEAD + code, self.api_path, **env)
        assert (result.code, result.err) == (0, "")
        assert "opentelemetry" not in self.log()  # no error of the hook
        return result
