# SPDX-License-Identifier: Apache-2.0
"""config: what each variable does, and that a wrong one is one clear line and nothing worse."""

import pathlib
import random
import re
import subprocess
import sys

import pytest
from pillion import config, endpoint

AGENT = pathlib.Path(config.__file__).parent.parent


def settings(**environ: str) -> config.Config:
    found, problems = config.read(environ)
    assert problems == []
    return found


def problem(**environ: str) -> tuple[config.Config, str]:
    """The settings and the one problem that there must be."""
    found, problems = config.read(environ)
    assert len(problems) == 1, problems
    assert "\n" not in problems[0]
    return found, problems[0]


def test_empty_environment_gives_the_defaults() -> None:
    for environ in ({}, {"OTEL_SERVICE_NAME": "", "OTEL_TRACES_SAMPLER": " ", "PILLION_ENABLED": ""}):
        found = settings(**environ)
        assert (found.enabled, found.disabled, found.service, found.target) == (True, False, None, None)
        assert (found.propagate_trace, found.propagate_baggage) == (True, True)
        assert (found.sampler, found.ratio, found.traces, found.metrics) == ("parent_on", 1.0, True, True)
        assert (found.timeout_ns, found.ring_bytes) == (10_000_000_000, 16 << 20)
        assert found.limits == {
            "attributes": 128,
            "events": 128,
            "links": 128,
            "event_attributes": 128,
            "link_attributes": 128,
            "value_chars": -1,
            "other_value_chars": -1,
        }
        assert found.headers == () and found.disabled_hooks == () and found.excluded_urls == {}


def test_settings_never_change() -> None:
    with pytest.raises(AttributeError):
        settings().service = "other"


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("off", False)]
)
def test_own_flags_know_the_usual_words(value: str, expected: bool) -> None:
    assert settings(PILLION_ENABLED=value).enabled is expected
    assert settings(PILLION_CAPTURE_QUERY=value).capture_query is expected


def test_standard_flags_are_true_only_by_true() -> None:
    assert settings(OTEL_SDK_DISABLED="TRUE").disabled is True
    assert settings(OTEL_SDK_DISABLED="False").disabled is False
    found, line = problem(OTEL_SDK_DISABLED="1")
    assert found.disabled is False and "OTEL_SDK_DISABLED='1'" in line and "used instead: false" in line


def test_unknown_word_leaves_pillion_enabled() -> None:
    found, line = problem(PILLION_ENABLED="maybe")
    assert found.enabled is True and "PILLION_ENABLED" in line


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("always_on", "0.5", ("on", 1.0)),
        ("ALWAYS_OFF", "", ("off", 1.0)),
        ("traceidratio", "0.25", ("ratio", 0.25)),
        ("traceidratio", "", ("ratio", 1.0)),
        ("parentbased_traceidratio", "0", ("parent_ratio", 0.0)),
        ("parentbased_always_off", "", ("parent_off", 1.0)),
        ("parentbased_always_on", "", ("parent_on", 1.0)),
    ],
)
def test_samplers_have_their_standard_names(name: str, argument: str, expected: tuple[str, float]) -> None:
    found = settings(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG=argument)
    assert (found.sampler, found.ratio) == expected


def test_wrong_sampler_is_named_and_everything_is_sampled() -> None:
    found, line = problem(OTEL_TRACES_SAMPLER="jaeger_remote", OTEL_TRACES_SAMPLER_ARG="endpoint=x")
    assert (found.sampler, found.ratio) == ("parent_on", 1.0)
    assert "jaeger_remote" in line and "used instead: parentbased_always_on" in line


@pytest.mark.parametrize("value", ["-0.1", "1.1", "half", "nan", "inf", "1e400", "0,5"])
def test_ratio_outside_of_0_to_1_is_a_problem(value: str) -> None:
    found, line = problem(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG=value)
    assert found.ratio == 1.0 and "OTEL_TRACES_SAMPLER_ARG" in line


def test_propagators_can_be_chosen() -> None:
    assert settings(OTEL_PROPAGATORS="none").propagate_trace is False
    found = settings(OTEL_PROPAGATORS=" TraceContext ")
    assert (found.propagate_trace, found.propagate_baggage) == (True, False)
    found, line = problem(OTEL_PROPAGATORS="b3,baggage")
    assert (found.propagate_trace, found.propagate_baggage) == (False, True)
    assert "'b3'" in line and "used instead: baggage" in line


def test_exporter_none_switches_a_signal_off() -> None:
    found = settings(OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="otlp")
    assert (found.traces, found.metrics) == (False, True)
    found, line = problem(OTEL_TRACES_EXPORTER="console")
    assert found.traces is True and "used instead: otlp" in line


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("http://localhost:4317", "localhost:4317"),
        ("HTTP://10.0.0.1:9/", "10.0.0.1:9"),
        ("http://collector", "collector:4317"),
        ("http://[::1]:4317", "[::1]:4317"),
        ("http://[::1]", "[::1]:4317"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("unix:///run/x.sock", "unix:/run/x.sock"),
    ],
)
def test_endpoints_that_are_understood(value: str, target: str) -> None:
    assert endpoint.parse(value) == (target, None)
    assert settings(OTEL_EXPORTER_OTLP_ENDPOINT=value).target == target


@pytest.mark.parametrize(
    "value",
    [
        "localhost:4317",
        "https://api.example.com",
        "http://",
        "http://:4317",
        "http://host:0",
        "http://host:65536",
        "http://host:99999999999999999999",
        "http://host:٣",
        "http://host:-1",
        "http://host:4317/v1/traces",
        "http://user:secret@host:4317",
        "http://host:4317?x=1",
        "http://::1:4317",
        "http://hö:4317",
        "http://a b:4317",
        "http://[]:4317",
        "unix:relative.sock",
        "grpc://host:1",
        "://",
        "x",
    ],
)
def test_endpoint_that_is_not_understood_is_named_but_never_shown(value: str) -> None:
    found, line = problem(OTEL_EXPORTER_OTLP_ENDPOINT=value)
    assert found.target is None
    assert line.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: ") and "used instead: the node's collector" in line
    assert "secret" not in line


def test_https_names_the_remedy() -> None:
    assert "http://127.0.0.1:4317" in problem(OTEL_EXPORTER_OTLP_ENDPOINT="https://x")[1]


def test_endpoints_by_rank() -> None:
    general, traces = "http://general:1", "http://traces:2"
    assert settings(OTEL_EXPORTER_OTLP_ENDPOINT=general, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=traces).target == "traces:2"
    assert settings(OTEL_EXPORTER_OTLP_ENDPOINT=general, PILLION_SOCKET="/x/y.sock").target == "unix:/x/y.sock"
    found, line = problem(PILLION_SOCKET="y.sock", OTEL_EXPORTER_OTLP_ENDPOINT=general)
    assert found.target == "general:1" and "not an absolute path" in line


def test_metrics_endpoint_of_its_own_is_a_problem() -> None:
    assert settings(OTEL_EXPORTER_OTLP_ENDPOINT="http://a:1", OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://a:1").target
    found, line = problem(OTEL_EXPORTER_OTLP_ENDPOINT="http://a:1", OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://b:1")
    assert found.target == "a:1" and "METRICS_ENDPOINT" in line


def test_http_protocol_is_not_spoken_and_its_endpoint_not_used() -> None:
    found, line = problem(OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", OTEL_EXPORTER_OTLP_ENDPOINT="http://host:4318")
    assert found.target is None and "set it to grpc" in line and "the node's collector" in line
    assert settings(OTEL_EXPORTER_OTLP_PROTOCOL="grpc").target is None


def test_compression_and_queue_sizes_say_that_they_do_nothing() -> None:
    assert "used instead: none" in problem(OTEL_EXPORTER_OTLP_COMPRESSION="gzip")[1]
    assert settings(OTEL_EXPORTER_OTLP_COMPRESSION="none")
    assert "PILLION_RING_BYTES" in problem(OTEL_BSP_MAX_QUEUE_SIZE="2048")[1]
    assert "OTEL_CONFIG_FILE" in problem(OTEL_CONFIG_FILE="/etc/otel.yaml")[1]


def test_headers_are_decoded_and_the_traces_ones_win() -> None:
    found = settings(OTEL_EXPORTER_OTLP_HEADERS="Api-Key=a%20b , x_y.z=1==,")
    assert found.headers == (("api-key", "a b"), ("x_y.z", "1=="))
    found = settings(OTEL_EXPORTER_OTLP_HEADERS="a=1", OTEL_EXPORTER_OTLP_TRACES_HEADERS="b=2")
    assert found.headers == (("b", "2"),)


@pytest.mark.parametrize("value", ["secret", "a=secret%0Ax", "a b=secret", "grpc-x=secret", "a-bin=secret", "=secret"])
def test_wrong_header_is_left_out_and_its_value_never_shown(value: str) -> None:
    found, line = problem(OTEL_EXPORTER_OTLP_HEADERS=value)
    assert found.headers == () and "secret" not in line


def test_header_values_are_not_in_the_repr() -> None:
    assert "secret" not in repr(settings(OTEL_EXPORTER_OTLP_HEADERS="key=secret"))


def test_timeout_counts_milliseconds_and_tiny_ones_are_taken_for_seconds() -> None:
    assert settings(OTEL_EXPORTER_OTLP_TIMEOUT="2500").timeout_ns == 2_500_000_000
    assert settings(OTEL_EXPORTER_OTLP_TIMEOUT="1", OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="300").timeout_ns == 300_000_000
    found, line = problem(OTEL_EXPORTER_OTLP_TIMEOUT="10")
    assert found.timeout_ns == 10_000_000_000 and "milliseconds" in line and "10 seconds" in line


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "1e3", "٣", "9" * 40, "0x10", "1_0", "+1"])
def test_wrong_number_is_a_problem_and_the_default_is_used(value: str) -> None:
    found, line = problem(OTEL_BSP_SCHEDULE_DELAY=value)
    assert found.interval_ns == 500_000_000 and "OTEL_BSP_SCHEDULE_DELAY" in line and "used instead: 500" in line


def test_limits_of_spans_and_their_general_form() -> None:
    found = settings(
        OTEL_ATTRIBUTE_COUNT_LIMIT="10",
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="20",
        OTEL_SPAN_EVENT_COUNT_LIMIT="0",
        OTEL_SPAN_LINK_COUNT_LIMIT="999999999",
        OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT="3",
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="100",
        OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="7",
    )
    assert found.limits == {
        "attributes": 20,
        "events": 0,
        "links": 65_535,
        "event_attributes": 3,
        "link_attributes": 10,
        "value_chars": 7,
        "other_value_chars": 100,
    }
    assert problem(OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="-1")[0].limits["value_chars"] == -1


def test_resource_attributes_are_decoded_or_left_out_as_a_whole() -> None:
    found = settings(OTEL_RESOURCE_ATTRIBUTES=" a=1 ,b.c=x%2Cy%20%C3%A9, ,d=k=v,a=2")
    assert found.resource_attributes == {"a": "2", "b.c": "x,y é", "d": "k=v"}
    for value in ("a=1,b", "a=%zz", "a=%e9", "=1", "a=%", "a=% 1"):
        found, line = problem(OTEL_RESOURCE_ATTRIBUTES=value)
        assert found.resource_attributes == {} and "OTEL_RESOURCE_ATTRIBUTES" in line


def test_text_that_is_not_utf_8_is_no_resource_attribute() -> None:
    assert problem(OTEL_RESOURCE_ATTRIBUTES="a=\udce9")[0].resource_attributes == {}
    assert settings(OTEL_RESOURCE_ATTRIBUTES="a=é").resource_attributes == {"a": "é"}


@pytest.mark.parametrize(
    ("value", "expected"), [("1M", 1 << 20), ("2048k", 2 << 20), ("1g", 1 << 30), ("1048576", 1 << 20)]
)
def test_ring_size_takes_units(value: str, expected: int) -> None:
    assert settings(PILLION_RING_BYTES=value).ring_bytes == expected


@pytest.mark.parametrize("value", ["0", "1023K", "2G", "M", "1T", "-1M", "9" * 30, "1.5M", "²M"])
def test_wrong_ring_size_is_a_problem(value: str) -> None:
    found, line = problem(PILLION_RING_BYTES=value)
    assert found.ring_bytes == 16 << 20 and "used instead: 16M" in line


def test_paths_must_be_absolute() -> None:
    assert settings(PILLION_RUN_DIR="/x", PILLION_LOG="/y").run_dir == "/x"
    assert problem(PILLION_RUN_DIR="x")[0].run_dir is None
    assert problem(PILLION_LOG="x")[0].log is None


def test_hooks_and_urls_to_leave_alone() -> None:
    found = settings(
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="Flask, sqlite3,",
        OTEL_PYTHON_EXCLUDED_URLS="healthz, /ping$",
        OTEL_PYTHON_FLASK_EXCLUDED_URLS="a",
        OTEL_PYTHON_X_EXCLUDED_URLS=",",
    )
    assert found.disabled_hooks == ("flask", "sqlite3")
    assert found.excluded_urls == {"": ("healthz", "/ping$"), "flask": ("a",)}
    excluded, problems = config.url_filter(found.excluded_urls[""])
    assert excluded is not None and problems == []
    assert excluded("http://x/healthz?a") and excluded("http://x/ping") and not excluded("http://x/pings")


def test_wrong_pattern_leaves_the_others() -> None:
    excluded, problems = config.url_filter(("(", "b|c", "a"))
    assert len(problems) == 1 and "'('" in problems[0]
    assert excluded is not None and excluded("xbx") and excluded("a") and not excluded("d")
    assert config.url_filter(("(",))[0] is None
    assert config.url_filter(()) == (None, [])


def test_every_own_variable_has_its_row_in_the_readme() -> None:
    readme = (AGENT.parent / "README.md").read_text(encoding="utf-8")
    rows = {name: row for row in readme.splitlines() for name in re.findall(r"^\| `(PILLION_[A-Z_]+)`", row)}
    for name, default, meaning in config.VARIABLES:
        assert name in rows, name
        assert default in rows[name] and meaning in rows[name]


def test_any_garbage_is_survived() -> None:
    names = re.findall(r'"((?:OTEL|PILLION)_[A-Z_]+)"', pathlib.Path(config.__file__).read_text(encoding="utf-8"))
    alphabet = "aZ09 ,=%:/.-_@[]{}\\\"'\t\n\r\0é\udcff\u0661😀"
    source = random.Random(2)
    for _ in range(3000):
        environ = {source.choice(names): "".join(source.choices(alphabet, k=source.randrange(30))) for _ in range(8)}
        found, problems = config.read(environ)
        assert isinstance(found, config.Config)
        assert all(len(line) < 400 for line in problems)


def test_very_long_values_are_cut_in_the_problem() -> None:
    assert len(problem(OTEL_TRACES_SAMPLER="x" * 100_000)[1]) < 300


def test_reading_imports_nothing_but_future_statements() -> None:
    code = (
        "import sys; before = set(sys.modules); import importlib.util as u\n"
        "before |= set(sys.modules)\n"
        "from pillion import config; config.read({'OTEL_TRACES_SAMPLER': 'x'})\n"
        "print([m for m in set(sys.modules) - before if not m.startswith('pillion')])"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(AGENT)}, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['__future__']"
