# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the public base images, for machines whose docker can pull none: `python -m tests.docker.bases`.

Debian comes from debootstrap, the rest from its packages, a CPython on musl from scripts/musl-python.sh. What this
machine has to reach package registries, certificates and settings of apt and pip, goes into the images.
Made once; `variables()` names them the way docker/compose.yaml wants.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAMES = "pillion-test"
TARGETS = {"PYTHON_IMAGE": "python", "MUSL_IMAGE": "python-musl", "REDIS_IMAGE": "redis", "POSTGRES_IMAGE": "postgres"}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def run(*command: str | Path, **more: str) -> None:
    """A step that has to work; what it says is shown when it doesn't."""
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{ended.stdout[-4000:]}")


def said(*command: str) -> str:
    """The first line that a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n")[0]


def exists(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


def variables() -> dict[str, str]:
    """The base images by compose.yaml's names: the caller's own, else these."""
    return {name: os.environ.get(name) or f"{NAMES}/{target}" for name, target in TARGETS.items()}


@contextmanager
def scratch() -> Iterator[Path]:
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bases.", dir=ROOT / "build") as folder:
        yield Path(folder)


def debian() -> None:
    """A minimal Debian, imported."""
    if exists(f"{NAMES}/debian"):
        return
    print("bases: debootstrap makes a Debian (a minute)", flush=True)
    targets = ["apt-get", "indextargets", "Created-By: Packages", "--format"]
    suite, mirror = (said(*targets, word) for word in ("$(CODENAME)", "$(REPO_URI)"))
    with scratch() as folder:
        run("debootstrap", "--variant=minbase", suite, folder / "root", mirror)
        (folder / "root/etc/apt/sources.list").unlink()  # the machine's own come later
        run("sh", "-c", f"tar -C {folder}/root -c . | docker import - {NAMES}/debian")


def machine(folder: Path) -> None:
    """Certificates and settings of this machine, where they lie in the image's file system."""
    apt = [Path("/etc/apt/sources.list")]
    apt += [path for path in Path("/etc/apt/sources.list.d").iterdir() if path.suffix in {".list", ".sources"}]
    apt += [path for path in Path("/etc/apt/apt.conf.d").iterdir() if path.read_bytes().startswith(b"Acquire::")]
    copies = {path: path.relative_to("/") for path in (*apt, Path("/etc/pip.conf"))}
    for path, to in (copies | {CERTIFICATES: Path("etc/ssl/machine.crt")}).items():
        if path.is_file():
            (folder / to).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / to)


def musl(folder: Path) -> None:
    """The interpreter under /usr/local and the C library it is linked to."""
    print("bases: CPython on musl (minutes, the first time)", flush=True)
    run("scripts/musl-python.sh")
    shutil.copytree(ROOT / "build/musl-python", folder / "usr/local", symlinks=True)
    for name, to in {"python": "python3", "pip": "pip3"}.items():
        (folder / "usr/local/bin" / name).unlink(missing_ok=True)
        (folder / "usr/local/bin" / name).symlink_to(to)
    loader = next(Path("/lib").glob("ld-musl-*.so.1"))
    (folder / "usr/lib").mkdir()  # /lib is a link to it
    shutil.copy(loader.resolve(), folder / "usr/lib" / loader.name)


def make() -> None:
    """All that are not here yet."""
    wanted = [target for name, target in TARGETS.items() if not os.environ.get(name)]
    missing = [target for target in wanted if not exists(f"{NAMES}/{target}")]
    if not missing:
        return
    run("scripts/system.sh", "docker")
    debian()
    with scratch() as folder:
        shutil.copytree(HERE / "bases", folder, dirs_exist_ok=True)
        (folder / "musl").mkdir()
        machine(folder / "machine")
        if "python-musl" in missing:
            musl(folder / "musl")
        for target in missing:
            print(f"bases: {NAMES}/{target}", flush=True)
            run("docker", "build", "-q", "--target", target, "-t", f"{NAMES}/{target}", folder, DOCKER_BUILDKIT="0")


if __name__ == "__main__":
    make()
