# SPDX-License-Identifier: Apache-2.0
"""The install image as an init container runs it: any user, read-only root, no capability, no network.

Then an application's own Python, on glibc and on musl, as a canary with what was installed. `make test-docker` sees to
what is needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pillion_inject import manifest

from tests.docker import bases

ROOT = Path(__file__).resolve().parents[2]
LOCKED = ["--rm", "--read-only", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
CANARY = ["/opt/pillion/current/pillion_inject", "canary", "--pairs", "1", "--json", "--"]


def lacking() -> str:
    """What isn't here, or nothing."""
    if not shutil.which("docker") or docker("info").returncode:
        return "no docker answers"
    images = bases.variables()
    missing = [images[name] for name in ("PYTHON_IMAGE", "MUSL_IMAGE") if not bases.exists(images[name])]
    missing += [] if list((ROOT / "dist").glob("pillion-bundle-*/manifest.json")) else ["dist/pillion-bundle-*"]
    return f"{' and '.join(missing)} are not here" if missing else ""


@dataclass
class Image:
    """The image, and a volume that the tests share."""

    name: str
    volume: str

    def run(self, *args: str, options: tuple[str, ...] = (), volume: bool = True) -> subprocess.CompletedProcess[str]:
        """`docker run` of it with the volume at /opt/pillion."""
        mounts = ["-v", f"{self.volume}:/opt/pillion"] if volume else []
        return docker("run", *LOCKED, *mounts, *options, self.name, *args)


def docker(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *args], cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module", params=["PYTHON_IMAGE", "MUSL_IMAGE"])
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    """Built from the bundle in dist/ on each base; image and volume are removed afterwards."""
    if lacking():
        pytest.skip(f"{lacking()}: make test-docker")
    made = Image(f"pillion-test-install:{uuid.uuid4().hex[:8]}", f"pillion-test-install-{uuid.uuid4().hex[:8]}")
    base = f"BASE={bases.variables()[request.param]}"
    ended = docker("build", "-q", "-f", "docker/inject.Dockerfile", "--build-arg", base, "-t", made.name, ".")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    yield made
    docker("volume", "rm", "-f", made.volume)
    docker("image", "rm", "-f", made.name)


@pytest.mark.timeout(600)
def test_the_image_installs_into_a_volume_and_finds_it_done_the_second_time(image: Image) -> None:
    said = image.run()
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.endswith("LD_PRELOAD=/opt/pillion/current/libpillion.so\n")
    again = image.run("--to", "/opt/pillion", "--json", options=("--user", "12345:54321"))
    assert (again.returncode, json.loads(again.stdout)["changed"]) == (0, False)


@pytest.mark.timeout(600)
def test_any_user_may_install_where_it_may_write(image: Image) -> None:
    place = ("--user", "12345:54321", "--tmpfs", "/opt/pillion:uid=12345,mode=0755,size=8m")
    said = image.run(options=place, volume=False)
    assert (said.returncode, said.stderr) == (0, "")
    said = image.run(options=("--user", "12345:54321", "--tmpfs", "/opt/pillion:mode=0755,size=8m"), volume=False)
    assert said.returncode == 4 and "Permission denied for uid 12345" in said.stderr
    said = image.run(options=("--tmpfs", "/opt/pillion:uid=4317,mode=0755,size=1m"), volume=False)
    assert said.returncode == 5 and "No space left on device: make room" in said.stderr
    said = image.run(volume=False)
    assert said.returncode == 4 and "Read-only file system: mount this one folder writable" in said.stderr


@pytest.mark.timeout(600)
def test_an_update_and_the_way_back(image: Image, tmp_path: Path) -> None:
    assert image.run().returncode == 0
    newest = max((ROOT / "dist").glob("pillion-bundle-*"), key=lambda path: path.stat().st_mtime)
    bundle = tmp_path / "bundle"
    shutil.copytree(newest, bundle)
    tmp_path.chmod(0o755)
    text = json.loads((bundle / manifest.NAME).read_text())
    old, text["version"] = text["version"], "99.0"
    (bundle / manifest.NAME).write_text(json.dumps(text))
    said = image.run("--to", "/opt/pillion", "--from", "/new", options=("-v", f"{bundle}:/new:ro"))
    assert (said.returncode, said.stderr) == (0, "") and f"current was {old}" in said.stdout
    assert image.run("--to", "/opt/pillion", "--use", old).stdout == f"current is {old}, was 99.0\n"
    assert image.run("--to", "/opt/pillion", "--remove", "99.0").returncode == 0


@pytest.mark.parametrize("base", ["PYTHON_IMAGE", "MUSL_IMAGE"])
@pytest.mark.timeout(600)
def test_an_applications_own_python_is_fit_for_what_was_installed(image: Image, base: str) -> None:
    assert image.run().returncode == 0
    options = ["--user", "12345:54321", "-v", f"{image.volume}:/opt/pillion:ro"]
    said = docker("run", *LOCKED, *options, bases.variables()[base], "python", *CANARY, "python")
    assert (said.returncode, said.stderr) == (0, ""), said.stdout
    assert json.loads(said.stdout)["via"] == "preload"


@pytest.mark.timeout(600)
def test_the_image_is_a_folder_of_versions_itself(image: Image) -> None:
    said = docker("run", *LOCKED, "--entrypoint", "python", image.name, "/bundle/current/pillion_inject", "install",
                  "--to", "/bundle", "--list")  # fmt: skip
    assert said.returncode == 0 and said.stdout.startswith("* "), said
