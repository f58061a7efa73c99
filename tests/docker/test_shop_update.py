# SPDX-License-Identifier: Apache-2.0
"""From one version to the next and back while customers come: no request fails, and whoever runs keeps its version."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker import bases
from tests.docker.shop import PROJECT, Shop, eventually, maps, pids_of, said
from tests.support.servers import free_port

NEXT = "999.0.0"


class Customers:
    """They ask for pages without a pause, wherever the store front is at the moment: the load balancer's part."""

    def __init__(self, shop: Shop, front: str) -> None:
        self.front, self.answers = front, Counter[str]()
        self._shop, self._ended = shop, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                told = str(self._shop.ask("/", self.front).status)
            except OSError as error:
                told = repr(error)
            self.answers[told] += 1

    def some(self) -> None:
        """Until a few more were served, each of them asked after this call."""
        goal = self.answers["200"] + 20
        eventually(lambda: self.answers["200"] > goal or set(self.answers) - {"200"}, "more answers")

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The bundle again, as a version of its own."""
    (made,) = (bases.ROOT / "dist").glob("pillion-bundle-*")
    copy = tmp_path / "next"
    shutil.copytree(made, copy)
    manifest = copy / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": NEXT}))
    return copy


@pytest.fixture
def second_front(shop: Shop) -> Iterator[list[str]]:
    """Names of containers that a test starts, gone afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        said("docker", "rm", "-f", name)


def install(shop: Shop, *arguments: str, bundle: Path | None = None) -> None:
    """The install service's own image, run again."""
    image = said("docker", "inspect", "-f", "{{.Image}}", shop.container("install")).strip()
    mounts = ["-v", f"{PROJECT}_pillion:/opt/pillion", *(["-v", f"{bundle}:/next:ro"] if bundle else [])]
    said("docker", "run", "--rm", "--read-only", "--network=none", *mounts, image, "--to", "/opt/pillion", *arguments)


def versions(container: str) -> set[str]:
    """The versions that the container's processes have mapped."""
    found: set[str] = set()
    for pid in pids_of(container):
        found |= set(re.findall(r" /opt/pillion/([^/]+)/", maps(pid)))
    return found


def test_update_and_rollback_under_load_fail_no_request(shop: Shop, bundle: Path, second_front: list[str]) -> None:
    first = shop.container("web")
    (before,) = versions(first)
    customers = Customers(shop, shop.front)
    try:
        customers.some()
        install(shop, "--from", "/next", bundle=bundle)
        workers = set(pids_of(first))
        said("docker", "kill", "--signal=HUP", first)  # gunicorn's way to new workers
        eventually(lambda: len(set(pids_of(first)) - workers) == 2 and len(pids_of(first)) == 3, "new workers")
        customers.some()
        assert versions(first) == {before}, "who runs keeps its version, in new workers too"

        front = f"127.0.0.1:{free_port()}"
        started = shop.compose("run", "-d", "--no-deps", "-p", f"{front}:8000", "web").split()[-1]
        second_front.append(started)
        eventually(lambda: answers(shop, front), "the second store front")
        assert versions(started) == {NEXT}
        customers.front = front
        customers.some()
        said("docker", "stop", first)
        customers.some()

        install(shop, "--use", before)
        assert versions(started) == {NEXT}
        said("docker", "start", first)
        eventually(lambda: answers(shop, shop.front), "the first store front again")
        customers.front = shop.front
        customers.some()
        said("docker", "stop", started)
        customers.some()
    finally:
        customers.end()
    assert versions(first) == {before}
    assert set(customers.answers) == {"200"} and customers.answers["200"] > 100


def answers(shop: Shop, front: str) -> bool:
    try:
        return shop.ask("/healthz", front).status == 200
    except OSError:
        return False
