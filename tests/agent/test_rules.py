# SPDX-License-Identifier: Apache-2.0
"""The default rules, held against command lines as they are met; and rules on the road by PYTHONPATH."""

from __future__ import annotations

import os
import sys

import pytest
from pillion import _native

from tests.support.traced import AGENT, Traced

PYTHON = "/usr/bin/python3.11"
UV = "import sys; sys.path = ['/tmp/x'] + sys.path; from python.get_interpreter_info import main; main()"
LEFT_ALONE = {
    "PACKAGE_MANAGER": [
        ["/usr/bin/pip", "install", "x"],
        ["/venv/bin/pip3.11", "freeze"],
        ["-m", "pip", "install", "x"],
        ["-Im", "ensurepip", "--upgrade"],
        ["/venv/lib/python3.11/site-packages/pip/__pip-runner__.py", "install"],
        ["/tmp/pip-24.0-py3-none-any.whl/pip", "install"],
        ["/usr/bin/pipx", "run", "x"],
        ["/root/.local/bin/poetry", "install"],
        ["-m", "pipenv", "sync"],
        ["/opt/conda/bin/conda", "install", "x"],
        ["/opt/conda/bin/mamba", "env", "list"],
        ["-I", "-B", "-c", UV],
        ["/usr/bin/dnf", "install", "x"],
        ["/usr/bin/yum", "update"],
        ["/usr/bin/apt-listchanges", "--apt"],
        ["/usr/bin/unattended-upgrade"],
        ["/usr/bin/add-apt-repository", "x"],
        ["/usr/bin/py3compile", "-p", "x"],
        ["/var/lib/dpkg/info/x.postinst"],
    ],
    "BUILD_TOOL": [
        ["setup.py", "bdist_wheel"],
        ["-u", "./setup.py", "develop"],
        ["-m", "compileall", "-q", "."],
        ["-m", "py_compile", "x.py"],
        ["-m", "venv", "/venv"],
        ["-m", "virtualenv", "/venv"],
        ["/usr/bin/virtualenv", "x"],
        ["-m", "build"],
        ["/usr/bin/meson", "setup", "x"],
        ["/v/site-packages/pyproject_hooks/_in_process/_in_process.py", "build_wheel", "/tmp/x"],
        ["-c", "import setuptools.build_meta as backend; backend.build_wheel('/tmp')"],
        ["/usr/bin/mypy", "."],
    ],
    "SYSTEM_SCRIPT": [
        ["/usr/lib/command-not-found", "gti"],
        ["/usr/bin/cloud-init", "status"],
        ["/usr/sbin/firewalld", "--nofork"],
        ["/usr/bin/networkd-dispatcher"],
        ["/usr/bin/lsb_release", "-a"],
    ],
    "DEBUGGER": [["-m", "pdb", "app.py"]],
    "OTHER_AGENT": [
        ["/venv/bin/ddtrace-run", "python", "app.py"],
        ["/venv/bin/newrelic-admin", "run-program", "x"],
        ["/venv/bin/opentelemetry-instrument", "x"],
        ["/venv/bin/elasticapm-run", "x"],
    ],
}
LET_IN = [
    ["app.py"],
    ["-m", "pytest", "-q"],
    ["/venv/bin/pytest"],
    ["/venv/bin/gunicorn", "shop:app"],
    ["-m", "uvicorn", "shop:app"],
    ["-m", "debugpy", "--listen", "5678", "app.py"],
    ["/venv/bin/celery", "-A", "shop", "worker"],
    ["manage.py", "runserver"],
    ["/venv/bin/flask", "run"],
    ["-m", "http.server"],
    ["-c", "print(1)"],
    ["-"],
    [],
    ["/app/pip_server.py"],
    ["-m", "pipeline"],
    ["/srv/setup/app.py"],
    ["-m", "shop.build"],
    ["app.py", "pip"],
    ["app.py", "/usr/bin/pip"],
    ["-m", "shop", "-m", "pip"],
    ["google_sync.py"],
    ["apt_prices.py"],
    ["/app/agent.py"],
    ["/app/wheel_of_fortune.py"],
    ["--foo", ":80"],
]
EXECUTABLES = {
    "/usr/bin/gdb": "DEBUGGER",
    "/usr/bin/lldb-16": "DEBUGGER",
    "/usr/bin/vim.nox": "EMBEDDER",
    "/usr/bin/nvim": "EMBEDDER",
    "/usr/bin/blender": "EMBEDDER",
    "/usr/lib/postgresql/15/bin/postgres": "EMBEDDER",
    "/usr/libexec/platform-python3.6": "SYSTEM_SCRIPT",
    "/usr/bin/uwsgi-core": "",
    "/usr/sbin/apache2": "",
    "/venv/bin/uwsgi": "",
    "/usr/bin/pypy3": "",
    "/opt/app/server": "",
}
VARIABLES = {
    "PYTHONPATH=/venv/lib/python3.11/site-packages/ddtrace/bootstrap:/app": "OTHER_AGENT",
    "PYTHONPATH=/x/opentelemetry/instrumentation/auto_instrumentation:/x": "OTHER_AGENT",
    "PYTHONPATH=/x/newrelic/bootstrap": "OTHER_AGENT",
    "NEW_RELIC_ADMIN_PROGRAM=newrelic-admin": "OTHER_AGENT",
    "LD_PRELOAD=/opt/datadog-packages/datadog-apm-inject/stable/inject/launcher.preload.so": "OTHER_AGENT",
    "LD_PRELOAD=/opt/dynatrace/oneagent-paas/agent/lib64/liboneagentproc.so": "OTHER_AGENT",
    "PEP517_BUILD_BACKEND=setuptools.build_meta": "BUILD_TOOL",
    "NEW_RELIC_CONFIG_FILE=/etc/newrelic.ini": "",  # set in an image says nothing of what runs
    "DD_TRACE_AGENT_URL=http://x:8126": "",
    "PYTHONPATH=/app": "",
}


def code(argv: list[str], exe: str = PYTHON, environ: list[str] | None = None, uid: int = 1000) -> str:
    """The default rules' code, empty when they let it in."""
    command = [os.fsencode(word) for word in (exe, *argv)]
    variables = [os.fsencode(each) for each in environ or ()]
    deny, found, reason, notes = _native.rules(os.fsencode(exe), command, variables, uid, os.fsencode(AGENT))
    assert notes == "" and bool(reason) == deny
    return found


@pytest.mark.parametrize(
    ("expected", "argv"),
    [(name, argv) for name, many in LEFT_ALONE.items() for argv in many] + [("", argv) for argv in LET_IN],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else value,
)
def test_a_command_line_is_left_alone_or_let_in(expected: str, argv: list[str]) -> None:
    assert code(argv) == expected


@pytest.mark.parametrize("exe", EXECUTABLES)
def test_an_executable_is_left_alone_or_let_in(exe: str) -> None:
    assert code(["app"], exe) == EXECUTABLES[exe]


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_keeps_it_out_or_does_not(variable: str) -> None:
    assert code(["app.py"], environ=["A=1", variable]) == VARIABLES[variable]


def test_the_operator_may_let_both_agents_in(traced: Traced) -> None:
    own = traced.folder / "rules.conf"
    path = "/x/ddtrace/bootstrap"
    environ = [f"PYTHONPATH={path}", f"PILLION_RULES={own}"]
    own.write_text("allow env=PYTHONPATH=*/ddtrace/* script=shop.py\n")
    assert code(["shop.py"], environ=environ[:1]) == code(["other.py"], environ=environ) == "OTHER_AGENT"
    deny, found, reason, _ = _native.rules(
        b"/usr/bin/python3", [b"python3", b"shop.py"], [each.encode() for each in environ], 0, os.fsencode(AGENT)
    )
    assert (deny, found) == (False, "") and reason.endswith(
        "rules.conf:1: allow env=PYTHONPATH=*/ddtrace/* script=shop.py"
    )


def test_rules_count_by_pythonpath_too_and_are_read_anew_by_each_start(traced: Traced) -> None:
    own = traced.folder / "rules.conf"
    program = "from pillion import start; print(start._record['code'], start.engine is None)"
    said = []
    for text in ("deny script=app.py code=NIGHTLY", "deny script=other.py\nnonsense\n", "deny exe=python*", ""):
        own.write_text(text)
        said.append(traced.run(program, PILLION_RULES=str(own)).out)
    assert said == ["NIGHTLY True\n", "INJECTED False\n", "RULE True\n", "INJECTED False\n"]
    records = sorted(traced.records(), key=lambda record: int(record["time_ns"]))
    assert [record["decision"] for record in records] == ["not", "injected", "not", "injected"]
    assert records[0]["reason"] == f"{own}:1: deny script=app.py code=NIGHTLY"
    assert records[1]["notes"] == [f"{own}:2: nonsense (not understood)"]


def test_pip_under_pillion_run_is_left_alone(traced: Traced) -> None:
    environ = {key: value for key, value in traced.environ().items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "pillion", "run", "--", sys.executable, "-m", "pip", "--version"]
    result = traced.execute(command, {**environ, "PYTHONPATH": str(AGENT)})
    assert result.code == 0 and result.out.startswith("pip ")
    (record,) = traced.records()
    assert (record["decision"], record["code"]) == ("not", "PACKAGE_MANAGER")
