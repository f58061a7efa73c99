# SPDX-License-Identifier: Apache-2.0
"""`make demo-docker`'s driver where docker, its daemon, Compose or an image is missing: it says so, and what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).resolve().parents[2] / "docker" / "up.py"
FAKE = """#!{sh}
case "$*" in
{answers}
*) exit 1 ;;
esac
"""


def check(folder: Path, *answers: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`up.py --check` where docker answers these commands well and all others not; none: there is no docker."""
    if answers:
        docker = folder / "docker"
        docker.write_text(FAKE.format(sh="/bin/sh", answers="\n".join(f'"{answer}") exit 0 ;;' for answer in answers)))
        docker.chmod(0o755)
    command = [sys.executable, str(DRIVER), "--check"]
    return subprocess.run(command, env={"PATH": str(folder), **variables}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("answers", "missing", "remedy"),
    [
        ((), "docker isn't installed", "apt-get install docker.io"),
        (("version",), "docker doesn't answer", "systemctl start docker"),
        (("info",), "docker has no Compose", "docker-compose-plugin"),
        (("info", "compose version"), "can't be pulled", "_IMAGE=…"),
    ],
)
def test_what_is_missing_is_told_with_its_remedy(
    tmp_path: Path, answers: tuple[str, ...], missing: str, remedy: str
) -> None:
    ended = check(tmp_path, *answers)
    assert ended.returncode == 1
    assert missing in ended.stderr and remedy in ended.stderr
    assert ended.stderr.startswith("demo-docker: ") and ended.stderr.count("\n") == 1


def test_images_that_are_here_or_that_variables_name_are_not_pulled(tmp_path: Path) -> None:
    here = [f"image inspect {name}" for name in ("redis:7-alpine", "postgres:16-alpine", "mine", "python:3.12-alpine")]
    assert check(tmp_path, "info", "compose version", *here, PYTHON_IMAGE="mine").returncode == 0
    assert "no image python:3.12-slim" in check(tmp_path, "info", "compose version", *here).stderr
