# SPDX-License-Identifier: Apache-2.0
"""config: what the environment asks for, read once into one object that never changes.

Runs at the start of every injected process, so it imports next to nothing. `read` is a pure function: it takes the
environment and gives the settings together with the problems it met, each as one line that names the variable, what is
wrong and what is used instead. A wrong value is never more than such a line. Empty means unset, as in OpenTelemetry.
"""

from __future__ import annotations

from pillion import endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping, Sequence

# Our own variables: name, default, meaning. The README's table and the tests are made from this one.
VARIABLES = (
    ("PILLION_ENABLED", "true", "`false`: the module stays out of the process"),
    ("PILLION_RULES", "`rules.conf` beside the version", "the operator's file of rules: who is left alone"),
    ("PILLION_RUN_DIR", "`/run/pillion` or private", "where the collector's socket and the rings live"),
    ("PILLION_SOCKET", "in the run directory", "the collector's; wins over `OTEL_EXPORTER_OTLP_ENDPOINT`"),
    ("PILLION_RING_BYTES", "16M", "how much a process keeps at most while the collector is away (1M to 1G)"),
    ("PILLION_RINGS_BYTES", "256M", "what ended processes may leave in the run directory; then a new ring is private"),
    ("PILLION_EXIT_TIMEOUT", "500", "how many ms an exit may wait for another receiver than the node's collector"),
    ("PILLION_LOG", "none", "file that gets pillion's own messages"),
    ("PILLION_CAPTURE_QUERY", "false", "`true`: record query strings of URLs (they may hold secrets)"),
)  # fmt: skip

# Valid variables of OpenTelemetry that have nothing to act on here, and what does their job.
WITHOUT_EFFECT = {
    "OTEL_BSP_MAX_QUEUE_SIZE": "the queue is the ring: PILLION_RING_BYTES limits it",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "batches are cut by bytes",
    "OTEL_CONFIG_FILE": "declarative configuration is not read, the other variables are",
}

SAMPLERS = {  # the name in OpenTelemetry: (the name for the native side, has an argument)
    "parentbased_always_on": ("parent_on", False),
    "parentbased_always_off": ("parent_off", False),
    "parentbased_traceidratio": ("parent_ratio", True),
    "always_on": ("on", False),
    "always_off": ("off", False),
    "traceidratio": ("ratio", True),
}

MS = 1_000_000  # nanoseconds


class Config:
    """All settings of one process. Set by `read`, never changed."""

    __slots__ = (
        "capture_query",
        "disabled",
        "disabled_hooks",
        "enabled",
        "excluded_urls",
        "exit_timeout_ns",
        "headers",
        "interval_ns",
        "limits",
        "log",
        "log_correlation",
        "metrics",
        "metrics_interval_ns",
        "propagate_baggage",
        "propagate_trace",
        "ratio",
        "resource_attributes",
        "ring_bytes",
        "rings_bytes",
        "run_dir",
        "sampler",
        "service",
        "target",
        "timeout_ns",
        "traces",
    )
    enabled: bool  # PILLION_ENABLED
    disabled: bool  # OTEL_SDK_DISABLED: record nothing
    service: str | None  # OTEL_SERVICE_NAME; the rest of the rule is resource.py's
    resource_attributes: dict[str, str]  # OTEL_RESOURCE_ATTRIBUTES
    propagate_trace: bool
    propagate_baggage: bool
    sampler: str  # parent_on, parent_off, parent_ratio, on, off, ratio
    ratio: float  # 0..1
    traces: bool  # OTEL_TRACES_EXPORTER is not none
    metrics: bool  # OTEL_METRICS_EXPORTER is not none
    target: str | None  # "unix:/path" or "host:port"; None: the run directory's pillion.sock
    headers: tuple[tuple[str, str], ...]  # lower-case names
    timeout_ns: int  # of one export
    exit_timeout_ns: int  # PILLION_EXIT_TIMEOUT
    interval_ns: int  # how long a span waits at most before it is sent
    metrics_interval_ns: int
    limits: dict[str, int]  # names of struct span_limits; the two …_chars -1: none
    disabled_hooks: tuple[str, ...]  # lower case; "*" is all
    excluded_urls: dict[str, tuple[str, ...]]  # "" for all libraries, else by library in lower case
    run_dir: str | None  # PILLION_RUN_DIR
    ring_bytes: int
    rings_bytes: int
    log: str | None  # PILLION_LOG
    log_correlation: bool  # OTEL_PYTHON_LOG_CORRELATION: trace ids also in the text of log lines
    capture_query: bool

    def __init__(self, **fields: object) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, fields.pop(name))
        if fields:
            raise TypeError("unknown: " + ", ".join(fields))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("settings do not change")

    def __repr__(self) -> str:  # headers may hold keys to a backend
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__slots__ if name != "headers")
        return f"Config({', '.join(shown)})"


class _Reader:
    """The environment with its rules; collects the problems."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def problem(self, name: str, why: str, used: object, value: str | None = None) -> None:
        shown = "" if value is None else "=" + repr(value if len(value) <= 80 else value[:77] + "...")
        self.problems.append(f"{name}{shown}: {why}; used instead: {used}")

    def text(self, *names: str) -> tuple[str, str | None]:
        """The first of the variables that is set, and its value; or the last name and None."""
        for name in names:
            value = self.environ.get(name)
            if value and value.strip():
                return name, value.strip()
        return names[-1], None

    def flag(self, name: str, default: bool = False, own: bool = False) -> bool:
        """OpenTelemetry knows `true` in any case and nothing else; our own variables know 1, yes and on as well."""
        value = (self.text(name)[1] or "").lower()
        if not value:
            return default
        if value == "true" or (own and value in ("1", "yes", "on")):
            return True
        if value != "false" and not (own and value in ("0", "no", "off")):
            self.problem(name, "neither true nor false", "true" if default and own else "false", value)
            return default and own
        return False

    def number(self, names: Sequence[str], default: int, low: int, high: int) -> int:
        """An integer from low to high; what is more than high becomes high."""
        name, value = self.text(*names)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 19) or int(value) < low:
            self.problem(name, f"not a whole number from {low} on", default if default >= 0 else "no limit", value)
            return default
        return min(int(value), high)

    def words(self, name: str) -> tuple[str, ...]:
        """A list with commas, in lower case."""
        return tuple(word.strip().lower() for word in (self.text(name)[1] or "").split(",") if word.strip())


def unquote(text: str) -> str | None:
    """Percent-decodes; None: broken, or no UTF-8."""
    first, *rest = text.split("%")
    out = bytearray(first.encode("utf-8", "surrogateescape"))
    try:
        for part in rest:
            if len(part) < 2 or not part[:2].isalnum():
                return None
            out += bytes.fromhex(part[:2]) + part[2:].encode("utf-8", "surrogateescape")
        return out.decode("utf-8")
    except ValueError:
        return None


def pairs(text: str) -> list[tuple[str, str]] | None:
    """`k=v,k=v` with percent-encoding, as in the W3C baggage; None: malformed."""
    found = []
    for member in text.split(","):
        if not member.strip():
            continue
        key, equals, value = member.partition("=")
        plain_key, plain_value = unquote(key.strip()), unquote(value.strip())
        if not equals or not plain_key or plain_value is None:
            return None
        found.append((plain_key, plain_value))
    return found


def read(environ: Mapping[str, str]) -> tuple[Config, list[str]]:
    """The settings, and one line for each thing in the environment that is not as it should be."""
    reader = _Reader(environ)
    ms = reader.number
    sampler, ratio = _sampler(reader)
    propagators = _propagators(reader)
    config = Config(
        enabled=reader.flag("PILLION_ENABLED", True, own=True),
        disabled=reader.flag("OTEL_SDK_DISABLED"),
        service=reader.text("OTEL_SERVICE_NAME")[1],
        resource_attributes=_resource_attributes(reader),
        propagate_trace="tracecontext" in propagators,
        propagate_baggage="baggage" in propagators,
        sampler=sampler,
        ratio=ratio,
        traces=_exported(reader, "OTEL_TRACES_EXPORTER"),
        metrics=_exported(reader, "OTEL_METRICS_EXPORTER"),
        target=_target(reader),
        headers=_headers(reader),
        timeout_ns=_timeout_ns(reader),
        exit_timeout_ns=ms(["PILLION_EXIT_TIMEOUT"], 500, 0, 60_000) * MS,
        interval_ns=ms(["OTEL_BSP_SCHEDULE_DELAY"], 500, 0, 3_600_000) * MS,
        metrics_interval_ns=ms(["OTEL_METRIC_EXPORT_INTERVAL"], 10_000, 100, 86_400_000) * MS,
        limits=_limits(reader),
        disabled_hooks=reader.words("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"),
        excluded_urls=_excluded_urls(reader),
        run_dir=_absolute(reader, "PILLION_RUN_DIR", "the default"),
        ring_bytes=_size(reader, "PILLION_RING_BYTES", 16, 1 << 30, "1G"),
        rings_bytes=_size(reader, "PILLION_RINGS_BYTES", 256, 1 << 40, "1T"),
        log=_absolute(reader, "PILLION_LOG", "none"),
        log_correlation=reader.flag("OTEL_PYTHON_LOG_CORRELATION"),
        capture_query=reader.flag("PILLION_CAPTURE_QUERY", own=True),
    )
    for name, reason in WITHOUT_EFFECT.items():
        if reader.text(name)[1]:
            reader.problem(name, "has no effect here", reason)
    return config, reader.problems


def _sampler(reader: _Reader) -> tuple[str, float]:
    name, value = reader.text("OTEL_TRACES_SAMPLER")
    chosen = SAMPLERS.get((value or "parentbased_always_on").lower())
    if chosen is None:
        reader.problem(name, "no sampler of that name here", "parentbased_always_on", value)
        return "parent_on", 1.0
    sampler, has_argument = chosen
    name, value = reader.text("OTEL_TRACES_SAMPLER_ARG")
    if not has_argument or value is None:
        return sampler, 1.0
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1.0
    if 0.0 <= ratio <= 1.0:
        return sampler, ratio
    reader.problem(name, "not a number from 0 to 1", "1.0", value)
    return sampler, 1.0


def _propagators(reader: _Reader) -> list[str]:
    words = reader.words("OTEL_PROPAGATORS") or ("tracecontext", "baggage")
    known = [word for word in words if word in ("tracecontext", "baggage")]
    for word in words:
        if word not in known and word != "none":
            used = ",".join(known) or "none"
            reader.problem("OTEL_PROPAGATORS", "only tracecontext, baggage and none are spoken", used, word)
    return [] if "none" in words else known


def _exported(reader: _Reader, name: str) -> bool:
    words = reader.words(name) or ("otlp",)
    for word in words:
        if word not in ("otlp", "none"):
            reader.problem(name, "only otlp and none are known", "none" if words == ("none",) else "otlp", word)
    return "otlp" in words or "none" not in words


def _timeout_ns(reader: _Reader) -> int:
    names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]
    ms = reader.number(names, 10_000, 1, 3_600_000)
    if ms < 100:  # the standard counts milliseconds, OpenTelemetry's exporter for Python seconds
        name, value = reader.text(*names)
        reader.problem(name, "counts milliseconds, and no export ends in so few", f"{ms} seconds", value)
        ms *= 1000
    return ms * MS


def _limits(reader: _Reader) -> dict[str, int]:
    def count(*names: str) -> int:
        return reader.number(names, 128, 0, 65_535)

    general = "OTEL_ATTRIBUTE_COUNT_LIMIT"

    def length(*names: str) -> int:
        return reader.number(names, -1, 0, 2**31 - 1)

    every = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
    return {
        "attributes": count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", general),
        "events": count("OTEL_SPAN_EVENT_COUNT_LIMIT"),
        "links": count("OTEL_SPAN_LINK_COUNT_LIMIT"),
        "event_attributes": count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", general),
        "link_attributes": count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", general),
        "value_chars": length("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", every),
        "other_value_chars": length(every),
    }


def _resource_attributes(reader: _Reader) -> dict[str, str]:
    name, value = reader.text("OTEL_RESOURCE_ATTRIBUTES")
    found = pairs(value or "") if len(value or "") <= 16_384 else None
    if found is None:
        reader.problem(name, "not k=v,k=v with percent-encoding in at most 16384 characters", "nothing of it")
        return {}
    return dict(found)


def _excluded_urls(reader: _Reader) -> dict[str, tuple[str, ...]]:
    head, tail, found = "OTEL_PYTHON_", "EXCLUDED_URLS", {}
    for name in list(reader.environ):
        if name.startswith(head) and name.endswith(tail):
            patterns = tuple(p.strip() for p in (reader.text(name)[1] or "").split(",") if p.strip())
            if patterns:
                found[name[len(head) : -len(tail)].rstrip("_").lower()] = patterns
    return found


def url_filter(patterns: Sequence[str]) -> tuple[Callable[[str], bool] | None, list[str]]:
    """A test whether a URL is to be left alone (regular expressions, found anywhere in it), and the problems."""
    if not patterns:
        return None, []
    import re  # only where somebody asks for it: it costs start-up time

    def flaw(pattern: str) -> str | None:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            return f"OTEL_PYTHON_EXCLUDED_URLS={pattern!r}: {error}; used instead: the other patterns"
        return None

    problems = [problem for problem in map(flaw, patterns) if problem]
    good = [f"(?:{pattern})" for pattern in patterns if not flaw(pattern)]
    search = re.compile("|".join(good)).search
    return (lambda url: search(url) is not None) if good else None, problems


def _size(reader: _Reader, setting: str, default_mib: int, most: int, most_text: str) -> int:
    name, value = reader.text(setting)
    digits = (value or f"{default_mib}M").upper()
    shift = {"K": 10, "M": 20, "G": 30, "T": 40}.get(digits[-1:], 0)
    digits = digits[:-1] if shift else digits
    size = int(digits) << shift if digits.isascii() and digits.isdigit() and len(digits) < 13 else 0
    if 1 << 20 <= size <= most:
        return size
    reader.problem(name, f"not a size from 1M to {most_text}", f"{default_mib}M", value)
    return default_mib << 20


def _absolute(reader: _Reader, name: str, default: str) -> str | None:
    value = reader.text(name)[1]
    if value and not value.startswith("/"):
        reader.problem(name, "not an absolute path", default, value)
        return None
    return value


def _headers(reader: _Reader) -> tuple[tuple[str, str], ...]:
    name, value = reader.text("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    found = pairs(value or "")
    if found is None:
        reader.problem(name, "not k=v,k=v with percent-encoding", "no headers")
        return ()
    good = []
    for key, text in found:
        key = key.lower()
        plain = key.replace("-", "").replace("_", "").replace(".", "")
        if not (plain.isascii() and plain.isalnum()) or key.startswith("grpc-") or key.endswith("-bin"):
            reader.problem(name, f"no header's name: {key[:80]!r}", "the other headers")
        elif not all(" " <= c <= "~" for c in text):
            reader.problem(name, f"the value of {key} is not printable ASCII", "the other headers")
        else:
            good.append((key, text))
    return tuple(good)


def _target(reader: _Reader) -> str | None:
    socket = _absolute(reader, "PILLION_SOCKET", "OTEL_EXPORTER_OTLP_ENDPOINT or the run directory")
    name, value = reader.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    target = "unix:" + socket if socket else None
    protocol_name, protocol = reader.text("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol and protocol.lower() != "grpc":
        remedy = "only grpc is spoken: set it to grpc, with the endpoint of a gRPC receiver (mostly port 4317)"
        reader.problem(protocol_name, remedy, target or "the node's collector", protocol)
    elif value and not target:
        target, why = endpoint.parse(value)
        if why:  # without the value: it can hold a password
            reader.problem(name, why, "the node's collector")
    compression_name, compression = reader.text("OTEL_EXPORTER_OTLP_COMPRESSION")
    if compression and compression.lower() != "none":
        reader.problem(compression_name, "nothing is compressed on the way", "none", compression)
    name, value = reader.text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    if value and (target is None or endpoint.parse(value)[0] != target):
        reader.problem(name, "metrics go where the spans go", target or "the node's collector")
    return target
