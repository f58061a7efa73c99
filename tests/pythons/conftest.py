# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a run directory, and a reference receiver in it."""

from tests.support.receiver import run_dir, sink  # noqa: F401 (fixtures)
