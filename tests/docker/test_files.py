# SPDX-License-Identifier: Apache-2.0
"""The container files as they are written: what the shop's images say, and what compose.yaml gives and takes away.

Needs no docker. That the whole thing runs is test_shop.py's part.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"install", "collector"}
BUILT = sorted(name for name, service in SERVICES.items() if "shop/" in str(service.get("build")))
EACH = pytest.mark.parametrize("name", sorted(SERVICES))


def text_of(name: str) -> str:
    """The Dockerfile of a service that is built here."""
    build = SERVICES[name]["build"]
    path: Path = DOCKER / build["context"] / build.get("dockerfile", "Dockerfile")
    return path.read_text()


def user_of(name: str) -> str:
    """Whom a service's process runs as."""
    given = SERVICES[name].get("user") or re.findall(r"^USER (\S+)", text_of(name), re.MULTILINE)[-1]
    return str(given).split(":")[0]


def test_the_shop_has_the_four_applications_and_each_folder_is_a_service() -> None:
    assert set(BUILT) == {path.name for path in (DOCKER / "shop").iterdir() if path.is_dir()}
    wanted = {"web": "flask", "catalog": "fastapi", "orders": "django", "mailer": "celery"}
    for service, library in wanted.items():
        assert library in (DOCKER / "shop" / service / "requirements.txt").read_text()


@pytest.mark.parametrize("name", BUILT)
def test_no_file_of_an_application_image_says_a_word_about_pillion(name: str) -> None:
    for path in (DOCKER / "shop" / name).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            found = re.findall(r"pillion|opentelemetry|otel|ld_preload|trace", path.read_text(), re.IGNORECASE)
            assert not found, path


@EACH
def test_every_container_runs_as_somebody_of_its_own_without_rights_on_a_read_only_root(name: str) -> None:
    service = SERVICES[name]
    assert user_of(name) not in {"0", "root"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] and service["pids_limit"]
    assert not {"privileged", "ipc", "userns_mode", "devices"} & set(service)
    assert (service.get("pid") == "host") == (name == "collector")


def test_no_two_services_share_a_user_but_the_two_of_pillion() -> None:
    users = [user_of(name) for name in SERVICES if name not in OURS]
    assert len(users) == len(set(users)) == len(SERVICES) - len(OURS)
    assert {user_of(name) for name in OURS}.isdisjoint(users)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - OURS))
def test_a_service_gets_one_variable_one_read_only_folder_and_the_run_directory(name: str) -> None:
    service = SERVICES[name]
    ours = {key for key in service["environment"] if re.match("LD_|OTEL_|PILLION_|PYTHON", key)}
    assert service["environment"]["LD_PRELOAD"] == "/opt/pillion/current/libpillion.so"
    assert ours - {"LD_PRELOAD", "OTEL_SERVICE_NAME"} == ({"PILLION_ENABLED"} if name == "load" else set())
    assert {"pillion:/opt/pillion:ro", "run:/run/pillion"} <= set(service["volumes"])
    assert service["depends_on"]["install"] == {"condition": "service_completed_successfully"}


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports and all(str(port).startswith("127.0.0.1:") for port in ports)


def test_the_base_images_are_arguments_with_the_public_names_as_defaults() -> None:
    named = [str(SERVICES[name].get("image") or SERVICES[name]["build"]["args"]["BASE"]) for name in SERVICES]
    assert all(re.fullmatch(r"\$\{[A-Z]+_IMAGE:-(python|redis|postgres):[\w.-]+\}", name) for name in named)
    for name in [*BUILT, *OURS]:
        assert re.search(r"^ARG BASE=python:3\.\d+-(slim|alpine)$", text_of(name), re.MULTILINE), name
        assert set(re.findall(r"^FROM (\S+)", text_of(name), re.MULTILINE)) == {"${BASE}"}
