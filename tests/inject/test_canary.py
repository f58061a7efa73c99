# SPDX-License-Identifier: Apache-2.0
"""`pillion canary`: real interpreters with the module and without; what is wrong with one is said in one line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pillion import __main__
from pillion_inject import canary_receive, canary_run
from pillion_inject.canary_run import Place, Road

from scripts import pythons
from tests.inject import live_bundle
from tests.inject.conftest import MACHINE, Said, install
from tests.support.traced import AGENT

LIBRARY = AGENT / "pillion/libpillion.so"


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in os.environ:
        if key.startswith(("PILLION_", "OTEL_", "PYTHON")):
            monkeypatch.delenv(key)


def canary(*args: object) -> Said:
    """The command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = __main__.main(["canary", *map(str, args)])
    return Said(code, out.getvalue(), err.getvalue())


def answers(said: Said) -> dict[str, Any]:
    return {check["name"]: check["said"] for check in said.json["checks"]}


def python(folder: Path, lines: str) -> Path:
    """An interpreter that does something of its own first."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\n{lines}\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def left() -> set[str]:
    return {name for name in [*os.listdir("/dev/shm"), *os.listdir("/tmp")] if name.startswith("pillion-canary-")}


def test_a_good_interpreter_is_fit_and_every_check_says_what_it_saw() -> None:
    before = left()
    said = canary("--json", "--pairs", "2", "--", sys.executable)
    assert (said.code, said.err, said.json["why"], said.json["fit"]) == (0, "", [], True)
    assert said.json["via"] == "preload" and said.json["library"] == str(LIBRARY)
    seen = answers(said)
    assert list(seen) == ["module", "output", "spans", "exception", "signal", "warnings", "start-up", "memory"]
    assert seen["module"] == "is loaded, by LD_PRELOAD"
    assert seen["output"].endswith("bytes, exit code 7")
    assert seen["exception"].endswith("exit code 1")
    assert seen["signal"].endswith("ended by SIGTERM")
    assert seen["spans"].startswith("10 came: ") and "SELECT" in seen["spans"]
    assert seen["memory"].endswith("(median of 2 pairs)")
    assert isinstance(said.json["start_ms"], float)
    assert 0 < said.json["rss_mb"] < 30
    assert left() == before


def test_the_table_is_for_people_and_limits_judge_the_costs() -> None:
    said = canary("--pairs", "1", "--max-rss-mb", "0.01", "--max-start-ms", "60000", "--", sys.executable)
    lines = said.out.splitlines()
    assert said.code == 1
    assert lines[0].startswith("CPython 3.") and lines[0].endswith(f", {LIBRARY}")
    assert lines[1] == "  ok     module     is loaded, by LD_PRELOAD"
    assert lines[-3].startswith("  ok     start-up   ")
    assert lines[-2].startswith("  UNFIT  memory     ") and lines[-2].endswith(": more than 0.01")
    assert lines[-1].startswith("unfit: memory: ")


def test_the_callers_command_is_compared_too() -> None:
    code = "import os; print(len(os.environ) > 0); raise SystemExit(4)"
    said = canary("--json", "--pairs", "1", "--", sys.executable, "-I", "-c", code)
    assert said.code == 0, said.out
    assert answers(said)["command"] == "as without it: exit code 4"
    assert answers(said)["processes"] == "1 of Python in it, 1 with the module"


def test_a_command_that_says_something_else_each_time_is_compared_as_far_as_it_goes() -> None:
    numbers = "import os, time; print(os.getpid(), time.time_ns())"
    said = canary("--json", "--pairs", "1", "--", sys.executable, "-c", numbers)
    assert answers(said)["command"] == "as without it, numbers aside: exit code 0"
    words = "import os, sys; print(bytes(65 + byte % 26 for byte in os.urandom(20))); sys.exit(3)"
    said = canary("--json", "--pairs", "1", "--", sys.executable, "-c", words)
    assert (
        answers(said)["command"] == "as without it, the output aside, which differs from run to run anyway: exit code 3"
    )


def test_a_command_that_does_not_end_is_told_to() -> None:
    said = canary("--json", "--pairs", "1", "--seconds", "1", "--", sys.executable, "-m", "http.server", "0")
    assert said.code == 0, said.out
    assert answers(said)["command"].endswith("ended by SIGTERM, when told to")


def test_a_command_that_notices_the_module_is_unfit() -> None:
    code = "import os, sys; sys.exit('pillion' in open('/proc/self/maps').read() and 9)"
    said = canary("--json", "--", sys.executable, "-c", code)
    assert (said.code, said.json["why"]) == (1, ["command: exit code 9, exit code 0 without"])
    code = "print('pillion' in open('/proc/self/maps').read())"
    said = canary("--json", "--", sys.executable, "-c", code)
    assert said.json["why"] == ["command: stdout differs: 'True' only with it"]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            'case "$LD_PRELOAD" in *libpillion*) kill -SEGV $$;; esac',
            "module: `-c pass`: ended by SIGSEGV; 0 and silent",
        ),
        ('case "$LD_PRELOAD" in *libpillion*) echo hm >&2;; esac', "module: `-c pass`: exit code 0 (hm); 0 and silent"),
        ("unset LD_PRELOAD", "module: there is no trace of it: "),
        (
            'case "$LD_PRELOAD$*" in *libpillion*raise*) kill -ABRT $$;; esac',
            "exception: ended by SIGABRT, exit code 1",
        ),
        ('case "$LD_PRELOAD$*" in *libpillion*error*) exit 2;; esac', "warnings: exit code 2, exit code 7 without"),
    ],
)
def test_an_interpreter_that_does_not_bear_the_module_is_unfit(tmp_path: Path, lines: str, why: str) -> None:
    said = canary("--json", "--", python(tmp_path, lines))
    assert said.code == 1
    assert said.json["why"][0].startswith(why), said.json["why"]


def test_one_that_the_module_stays_out_of_is_unfit_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    said = canary("--json", "--", sys.executable)
    assert said.code == 1
    assert said.json["why"][0].startswith("module: stands aside: ") and "OTEL_SDK_DISABLED" in said.json["why"][0]
    assert answers(said)["output"].startswith("as without it")


def test_a_python_that_is_too_old_is_unfit_and_feels_nothing() -> None:
    found, reason = pythons.find("3.7")
    if found is None:
        pytest.skip(reason)
    said = canary("--json", "--", found)
    assert said.code == 1
    assert "stands aside: VERSION: " in said.json["why"][0] and "by a supported version" in said.json["why"][0]
    assert answers(said)["output"].startswith("as without it")


def test_without_a_library_at_hand_the_module_comes_by_pythonpath(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_run, "LIBRARY", "nothing.so")
    said = canary("--json", "--pairs", "1", "--", sys.executable)
    assert (said.code, said.json["via"]) == (0, "path"), said.out
    assert answers(said)["module"] == "is loaded, by PYTHONPATH"


def test_pillions_own_programs_are_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "processes").mkdir(parents=True)
    environ = {"LD_PRELOAD": str(LIBRARY), "PILLION_RUN_DIR": str(run), "PYTHONPATH": str(AGENT)}
    subprocess.run([sys.executable, "-m", "pillion_inject", "--help"], env=environ, stdout=subprocess.DEVNULL)
    bundle = live_bundle.make(tmp_path / "bundle", "7.0.1")
    subprocess.run([sys.executable, str(bundle / "pillion_inject"), "--help"], env=environ, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "pillion", "why"], env=environ, stdout=subprocess.DEVNULL)
    found = [json.loads(path.read_text()) for path in (run / "processes").glob("*.json")]
    assert [(record["decision"], record["code"]) for record in found] == [("not", "PILLION")] * 3


def test_a_library_that_is_none_is_unfit(tmp_path: Path) -> None:
    (tmp_path / MACHINE).mkdir()
    (tmp_path / MACHINE / "libpillion.so").write_bytes(b"not ELF")
    said = canary("--json", "--bundle", tmp_path, "--", sys.executable)
    assert said.code == 1
    assert "module: `-c pass`: exit code 0 (" in said.json["why"][0] and "libpillion.so" in said.json["why"][0]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "-- PYTHON: name the interpreter"),
        (["--"], "-- PYTHON: name the interpreter"),
        (["--bundle", "/usr", "--", sys.executable], "--bundle /usr: holds no libpillion.so for "),
        (["--", "/nowhere/python"], "/nowhere/python: No such file or directory: name a Python interpreter"),
        (["--", "/bin/true"], "/bin/true: is no Python interpreter (exit code 0): name one"),
        (["--pairs", "0", "--", sys.executable], "--pairs: is not more than 0"),
        (["--frobnicate", "--", sys.executable], "unrecognized arguments: --frobnicate"),
    ],
)
def test_wrong_usage_is_one_line(args: list[str], message: str) -> None:
    said = canary(*args)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"pillion canary: {message}") and said.err.count("\n") == 1


def test_what_is_preloaded_already_stays_and_pillion_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    road = Road("preload", "/new/libpillion.so")
    environ = {"LD_PRELOAD": "/x/libuser.so /opt/pillion/current/libpillion.so", "PYTHONPATH": "/a:/o/pillion/boot::/b"}
    place = Place(str(tmp_path / "run"), road, {**environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://far", "KEEP": "1"})
    assert place.bare["LD_PRELOAD"] == "/x/libuser.so"
    assert place.bare["PYTHONPATH"] == "/a::/b"
    assert road.join(place.bare)["LD_PRELOAD"] == "/x/libuser.so:/new/libpillion.so"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in place.bare and place.bare["KEEP"] == "1"
    path = Road("path", "/boot").join({"PYTHONPATH": "/a"})
    assert path == {"PYTHONPATH": "/boot:/a"}


def test_the_receiver_counts_spans_and_no_metrics(tmp_path: Path) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    traces = ExportTraceServiceRequest()
    scope = traces.resource_spans.add().scope_spans.add()
    for number in range(3):
        scope.spans.add(name=f"s{number}", start_time_unix_nano=5, trace_id=bytes(16), span_id=bytes(8))
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m", unit="s")
    metric.sum.data_points.add(as_int=1, time_unix_nano=5)
    assert list(canary_receive.span_names(traces.SerializeToString())) == ["s0", "s1", "s2"]
    assert list(canary_receive.span_names(metrics.SerializeToString())) == []


def test_the_receiver_answers_a_reference_client(tmp_path: Path) -> None:
    import grpc

    receiver = canary_receive.Receiver(canary_receive.path_for(str(tmp_path)))
    with grpc.insecure_channel(f"unix:{tmp_path}/canary.sock") as channel:
        call: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert [call(b"", timeout=20) for _ in range(3)] == [b""] * 3
    assert receiver.calls == 3
    receiver.close()


def test_install_makes_a_version_current_only_if_the_canary_finds_it_fit(tmp_path: Path) -> None:
    target, bundles = tmp_path / "pillion", [live_bundle.make(tmp_path / each, each) for each in ("7.0.1", "7.0.2")]
    assert install("--to", target, "--from", bundles[0], "--canary", sys.executable).code == 0
    assert os.readlink(target / "current") == "7.0.1"
    bad = python(tmp_path, 'case "$LD_PRELOAD" in *7.0.2*) kill -SEGV $$;; esac')
    said = install("--to", target, "--from", bundles[1], "--canary", bad)
    assert (said.code, said.out) == (8, "")
    assert said.err.startswith(f"pillion install: --canary {bad}: module: `-c pass`: ended by SIGSEGV")
    assert os.readlink(target / "current") == "7.0.1" and (target / "7.0.2").is_dir()
    assert install("--to", target, "--from", bundles[1], "--canary", "/nowhere").code == 2
    assert install("--to", target, "--from", bundles[0], "--canary", "/nowhere").code == 0  # it is current already
    assert install("--to", target, "--from", bundles[1], "--canary", sys.executable).code == 0
    assert os.readlink(target / "current") == "7.0.2"


def test_the_operators_rules_beside_the_versions_count(tmp_path: Path) -> None:
    target = tmp_path / "pillion"
    install("--to", target, "--from", live_bundle.make(tmp_path / "7.0.1", "7.0.1"))
    (target / "rules.conf").write_text("# mine\ndeny exe=python*\n")
    said = canary("--json", "--bundle", target, "--", sys.executable)
    assert said.code == 1
    assert said.json["why"][0].startswith(f"module: stands aside: RULE: {target}/rules.conf:2: deny exe=python*")


def test_a_value_of_the_environment_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hunter2@db")
    lines = 'case "$LD_PRELOAD" in *libpillion*) export DATABASE_URL="$DATABASE_URL/x";; esac'
    said = canary("--json", "--", python(tmp_path, lines))
    assert "only with it" in said.json["why"][0] and "DATABASE_URL" in said.json["why"][0]
    assert "hunter2" not in said.out
