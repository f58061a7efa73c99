# SPDX-License-Identifier: Apache-2.0
"""Which container a process is in, as every engine writes it into the path of its control group."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pillion_collector import query_trace
from pillion_collector.containers import container_in, container_of
from pillion_collector.pids import Name
from pillion_collector.processes_find import Found
from pillion_collector.processes_points import resource_of
from pillion_collector.query_containers import containers_of
from pillion_collector.store import PointRow, ResourceRow, Store

from tests.collector.store_bodies import spans

ID, POD = "0123456789abcdef" * 4, "1f9a6d0c-57ff-4b1e-a0e5-0a4c5b1ad4b6"
PATHS = {
    "docker, version 1": f"4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/system.slice/containerd.service",
    "docker, version 2, systemd": f"0::/system.slice/docker-{ID}.scope",
    "docker, seen from a sibling's cgroup namespace": f"0::/../docker-{ID}.scope",
    "docker in docker": f"0::/docker/{'f' * 64}/docker/{ID}",
    "docker, with groups of its own below": f"0::/system.slice/docker-{ID}.scope/init/worker",
    "containerd": f"12:memory:/default/{ID}",
    "kubernetes, cgroupfs": f"9:memory:/kubepods/burstable/pod{POD}/{ID}",
    "kubernetes, systemd, containerd": f"0::/kubepods.slice/kubepods-burstable.slice/"
    f"kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
    "kubernetes, containerd under another manager": f"0::/kubepods-besteffort-pod{POD}.slice:cri-containerd:{ID}",
    "kubernetes, CRI-O": f"0::/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/crio-{ID}.scope",
    "podman": f"0::/machine.slice/libpod-{ID}.scope/container",
    "podman, rootless": f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
    "podman, cgroupfs": f"3:memory:/libpod_parent/libpod-{ID}",
}
NONE = {
    "the node": "0::/init.scope",
    "a session": "0::/user.slice/user-1000.slice/session-2.scope",
    "its own namespace": "0::/",
    "podman's monitor": f"0::/machine.slice/libpod-conmon-{ID}.scope",
    "CRI-O's monitor": f"0::/system.slice/crio-conmon-{ID}.scope",
    "a shorter number": f"0::/jobs/{ID[:32]}",
    "a longer one": f"0::/jobs/{ID}0",
    "nothing": "",
    "no such file at all": "::::\n:::\nx",
}


@pytest.mark.parametrize("engine", PATHS)
def test_the_id_is_read_as_each_engine_writes_it(engine: str) -> None:
    assert container_in(PATHS[engine]) == ID


@pytest.mark.parametrize("where", NONE)
def test_what_is_no_container_has_no_id(where: str) -> None:
    assert container_in(NONE[where]) is None


def test_a_process_that_is_gone_has_none() -> None:
    assert container_of(2**22 + 7) is None
    assert container_of(os.getpid()) == container_in(Path("/proc/self/cgroup").read_text())


def test_metrics_are_stored_under_a_resource_with_the_containers_id_whatever_the_process_sent() -> None:
    found = Found(Name(1, 500, 4026532999), service="shop", instance="i")
    ours, stored = resource_of(found, time.time_ns(), ID)
    assert stored and ours.attributes["container.id"] == json.dumps(ID) and ours.attributes["process.pid"] == "1"
    assert resource_of(found, time.time_ns(), None)[0].resource_id != ours.resource_id
    told = ResourceRow(7, "shop", "i", 1, {"service.name": '"shop"', "container.id": json.dumps("own")})
    assert resource_of(Found(found.who, resource_row=told), 0, ID) == (told, False)
    silent = told._replace(attributes={"service.name": '"shop"'})
    assert resource_of(Found(found.who, resource_row=silent), 0, None) == (silent, False)
    more, stored = resource_of(Found(found.who, resource_row=silent), 0, ID)
    assert stored and more.resource_id not in (7, ours.resource_id)
    assert more.attributes == {"service.name": '"shop"', "container.id": json.dumps(ID)}


def test_spans_of_a_process_that_cannot_see_its_container_show_it_all_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    request = ExportTraceServiceRequest.FromString(spans(1))
    request.resource_spans[0].resource.attributes.add(key="service.instance.id").value.string_value = "i"
    store.append("traces", request.SerializeToString()).result(60)
    trace_id = store.query("SELECT trace_id FROM spans")[0][0]
    silent = query_trace.trace(store, trace_id)
    assert silent is not None and "container.id" not in next(iter(silent["resources"].values()))
    row, _ = resource_of(Found(Name(1, 5, 4026532999), service="shop", instance="i"), 0, ID)
    point = PointRow(time.time_ns(), row.resource_id, "process.uptime", "s", 1.0, 1)
    store.append_points([point], [row]).result(60)
    known = query_trace.trace(store, trace_id)
    assert known is not None and next(iter(known["resources"].values()))["container.id"] == ID
    assert containers_of(store, ["i", "other", None]) == {"i": ID} and containers_of(store, [None]) == {}
    store.close()
