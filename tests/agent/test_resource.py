# SPDX-License-Identifier: Apache-2.0
"""resource: who a process says it is, on this machine and on others that are only described."""

import ast
import datetime
import os
import re
import subprocess
import sys
import time
import uuid

import pytest
from pillion import resource

ID = "0123456789abcdef" * 4
STAT = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 {ticks} 1 1 1"


class Machine(resource.System):
    """A machine that is what a test says."""

    implementation = "cpython"
    version_info = (3, 12, 1, "final", 0)
    version = "3.12.1 (main)"
    platform = "linux"
    _ticks_per_second = 100

    def __init__(self, files: dict[str, str] | None = None, exe: str = "/usr/bin/python3.12", arch: str = "x86_64"):
        self.files = {"/proc/self/stat": STAT.format(ticks=250), **(files or {})}
        self.exe, self.arch = exe, arch

    pid = staticmethod(lambda: 42)
    parent_pid = staticmethod(lambda: 1)
    user_id = staticmethod(lambda: 1000)
    random = staticmethod(bytes)

    def text(self, path: str) -> str:
        return self.files.get(path, "")

    def link(self, path: str) -> str:
        return self.exe

    def host(self) -> tuple[str, str]:
        return "node-1", self.arch

    def boot_ns(self) -> int:
        return 1_700_000_000_000_000_000


def found(machine: Machine | None = None, service: str | None = None, **given: str) -> dict[str, str | int]:
    return resource.attributes(
        "9.9", service, {k.replace("__", "."): v for k, v in given.items()}, machine or Machine()
    )


def test_described_machine_gives_exactly_these_attributes() -> None:
    machine = Machine({"/etc/machine-id": "abc\n", "/etc/passwd": "root:x:0:0\nann:x:1000:1000:Ann:/:/bin/sh\n"})
    assert found(machine) == {
        "telemetry.sdk.name": "pillion",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": "9.9",
        "telemetry.distro.name": "pillion",
        "telemetry.distro.version": "9.9",
        "service.name": "unknown_service:python3.12",
        "service.instance.id": "00000000-0000-4000-8000-000000000000",
        "process.pid": 42,
        "process.parent_pid": 1,
        "process.creation.time": "2023-11-14T22:13:22.500Z",
        "process.executable.path": "/usr/bin/python3.12",
        "process.executable.name": "python3.12",
        "process.runtime.name": "cpython",
        "process.runtime.version": "3.12.1",
        "process.runtime.description": "3.12.1 (main)",
        "process.owner": "ann",
        "host.name": "node-1",
        "host.id": "abc",
        "host.arch": "amd64",
        "os.type": "linux",
    }


def test_service_name_by_rank() -> None:
    assert found(service="a", service__name="b", k8s__pod__name="c")["service.name"] == "a"
    assert found(service__name="b", k8s__pod__name="c")["service.name"] == "b"
    assert found(k8s__pod__name="c", k8s__deployment__name="d")["service.name"] == "d"
    assert found(k8s__container__name="e")["service.name"] == "e"
    assert found()["service.name"] == "unknown_service:python3.12"
    assert found(Machine(exe=""))["service.name"] == "unknown_service"


def test_what_the_user_gives_wins_but_not_over_the_identity_of_the_process() -> None:
    given = found(host__name="mine", process__pid="1", telemetry__sdk__name="x", deployment__environment__name="test")
    assert (given["host.name"], given["process.pid"], given["telemetry.sdk.name"]) == ("mine", 42, "pillion")
    assert given["deployment.environment.name"] == "test"


def test_unreadable_machine_leaves_attributes_out() -> None:
    machine = Machine({"/proc/self/stat": ""}, exe="")
    keys = set(found(machine))
    absent = {"process.creation.time", "process.executable.path", "process.owner", "host.id", "container.id"}
    assert not keys & absent
    assert "" not in found(machine).values()


@pytest.mark.parametrize(
    ("arch", "expected"),
    [("aarch64", "arm64"), ("armv7l", "arm32"), ("i686", "x86"), ("s390x", "s390x"), ("new", "new")],
)
def test_architectures_have_their_standard_names(arch: str, expected: str) -> None:
    assert found(Machine(arch=arch))["host.arch"] == expected


def test_deleted_executable_keeps_its_name() -> None:
    assert found(Machine(exe="/x/python3.12 (deleted)"))["process.executable.name"] == "python3.12"


def test_release_candidate_is_told_from_a_release() -> None:
    machine = Machine()
    machine.version_info = (3, 15, 0, "candidate", 2)  # type: ignore[assignment]
    assert found(machine)["process.runtime.version"] == "3.15.0.candidate.2"


def test_uninitialised_machine_id_is_no_identity() -> None:
    assert "host.id" not in found(Machine({"/etc/machine-id": "uninitialized\n"}))
    assert found(Machine({"/var/lib/dbus/machine-id": "d\n"}))["host.id"] == "d"


@pytest.mark.parametrize(
    "cgroup",
    [
        f"12:pids:/docker/{ID}\n0::/x",
        f"0::/system.slice/docker-{ID}.scope",
        f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope",
        f"1:name=systemd:/kubepods/burstable/pod1/{ID}",
        f"0::/kubepods/besteffort/pod1/crio-{ID}/init",
        f"0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}",
        f"0::/machine.slice/libpod-{ID}.scope/container",
    ],
)
def test_container_id_from_a_control_group(cgroup: str) -> None:
    assert resource.container_id(cgroup, "") == ID


def test_container_id_from_docker_mounts_when_the_control_group_is_hidden() -> None:
    mounts = f"1 2 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda rw\n"
    assert resource.container_id("0::/\n", mounts) == ID
    assert found(Machine({"/proc/self/mountinfo": mounts}))["container.id"] == ID


@pytest.mark.parametrize(
    "cgroup",
    ["", "0::/", "0::/user.slice/user-1000.slice", f"0::/{ID}f", f"0::/{ID.upper()}", "\0" * 99, "////:::---.scope"],
)
def test_other_control_groups_are_no_container(cgroup: str) -> None:
    assert resource.container_id(cgroup, cgroup) == ""
    assert resource.container_id("", f"/var/lib/kubelet/pods/1/containers/{cgroup}/1") == ""


@pytest.mark.parametrize("stat", ["", ")", "1 (x) S", "1 (x) S" + " x" * 30, "garbage", "(" * 99])
def test_broken_stat_gives_no_start(stat: str) -> None:
    assert resource.start_ticks(stat) == -1


def test_name_with_brackets_and_blanks_does_not_shift_the_fields() -> None:
    assert resource.start_ticks(STAT.format(ticks=77)) == 77


def test_instance_id_is_a_version_4_uuid_of_its_own_each_time() -> None:
    first, second = (resource.attributes("1", "svc", {}, resource.System()) for _ in range(2))
    identity = uuid.UUID(str(first["service.instance.id"]))
    assert (identity.version, identity.variant) == (4, uuid.RFC_4122)
    assert first.pop("service.instance.id") != second.pop("service.instance.id") and first == second


def test_instance_id_of_the_user_stays() -> None:
    assert found(service__instance__id="mine")["service.instance.id"] == "mine"


def test_real_machine_tells_the_truth_and_no_secret() -> None:
    code = (
        "import time; from pillion import resource\n"
        "system = resource.System(); best = 9\n"
        "for _ in range(20):\n"
        "    t = time.process_time(); found = resource.attributes('1', None, {}, system)\n"
        "    best = min(best, time.process_time() - t)\n"
        "print(repr((best, found)))"
    )
    agent = os.path.dirname(os.path.dirname(resource.__file__))
    before = time.time()
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--password=hunter2"], env={"PYTHONPATH": agent, "TOKEN": "hunter2"}, stdout=-1
    )
    out, _ = process.communicate()
    best, seen = ast.literal_eval(out.decode())
    assert best < 0.002  # the best of 20, in CPU time
    assert seen["process.pid"] == process.pid and seen["process.parent_pid"] == os.getpid()
    started = datetime.datetime.fromisoformat(seen["process.creation.time"].replace("Z", "+00:00")).timestamp()
    assert before - 1 < started < time.time() + 1
    assert seen["host.name"] == os.uname().nodename
    assert os.path.samefile(seen["process.executable.path"], sys.executable)
    assert re.fullmatch(r"3\.\d+\.\d+(\.\w+\.\d+)?", seen["process.runtime.version"])
    assert "hunter2" not in out.decode()
