# SPDX-License-Identifier: Apache-2.0
"""The stage of the journeys: a real collector, and in front of it the demo's shop and stock service, unmodified."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.collector.conftest import Running, eventually, running
from tests.collector.ui.conftest import browser  # noqa: F401 (a fixture)
from tests.journey import programs
from tests.support.servers import free_port


@pytest.fixture(scope="session")
def run_dir() -> Iterator[Path]:
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="pillion-", dir=place))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def collector(run_dir: Path) -> Iterator[Running]:
    with running() as begin:
        yield begin(run_dir=run_dir)


@dataclass
class Stage:
    """The two services under pillion, and what the collector knows about them."""

    collector: Running
    run_dir: Path
    shop: programs.Server
    stock: programs.Server

    def traces(self, query: str = "", at_least: int = 1) -> list[dict[str, Any]]:
        """Traces that match, as soon as there are so many."""
        return traces(self.collector, query, at_least)

    def trace(self, trace_id: str, spans: int = 1) -> list[dict[str, Any]]:
        """The spans of a trace, as soon as there are so many."""
        path = f"/api/traces/{trace_id}"
        found = eventually(lambda: len(self.collector.get(path).get("spans", [])) >= spans and self.collector.get(path))
        assert found, f"trace {trace_id} never had {spans} spans: {self.collector.get(path)}"
        all_spans: list[dict[str, Any]] = found["spans"]
        return all_spans


def traces(collector: Running, query: str = "", at_least: int = 1) -> list[dict[str, Any]]:
    path = f"/api/traces?limit=500&{query}"
    found: list[dict[str, Any]] = eventually(lambda: enough(collector.get(path)["traces"], at_least))
    assert found, f"never {at_least} traces for {query!r}: {collector.get(path)}"
    return found


def enough(found: list[dict[str, Any]], at_least: int) -> list[dict[str, Any]] | None:
    return found if len(found) >= at_least else None


@pytest.fixture(scope="session")
def stage(collector: Running, run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    shop, stock = free_port(), free_port()
    where = {"PILLION_RUN_DIR": str(run_dir), "PILLION_LOG": str(folder / "pillion.log")}
    commands = (
        programs.traced("stock", sys.executable, "stock.py", str(stock)),
        programs.traced("shop", *programs.gunicorn(shop, "shop:app")),
    )
    database, url = str(folder / "stock.db"), f"http://127.0.0.1:{stock}"
    with (
        programs.serving(commands[0], stock, folder / "stock.log", where | {"STOCK_DB": database}) as second,
        programs.serving(
            commands[1], shop, folder / "shop.log", where | {"STOCK_URL": url, "SHOP_DECLINED": "1"}
        ) as first,
    ):
        yield Stage(collector, run_dir, first, second)
