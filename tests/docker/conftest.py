# SPDX-License-Identifier: Apache-2.0
"""The shop in containers, built and started once for all tests here; gone again afterwards, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docker import bases
from tests.docker.shop import Shop, lacks


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    if reason := lacks():
        pytest.skip(reason)
    if not list((bases.ROOT / "dist").glob("pillion-bundle-*")):
        pytest.skip("no dist/pillion-bundle-*: make bundle")
    shop = Shop()
    shop.down()  # of a run that was killed
    try:
        shop.up()
        yield shop
    finally:
        shop.down()
