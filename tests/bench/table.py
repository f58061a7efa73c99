# SPDX-License-Identifier: Apache-2.0
"""The figures as a Markdown table, and its place in the README: between two markers, written by nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- /figures -->"
COLUMNS = ("pillion", "otel", "ddtrace")


def number(value: float | None, unit: str) -> str:
    """At most three significant digits; nothing measured is a dash."""
    if value is None:
        return "–"
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{shown} {unit}".strip()


def row(
    what: str,
    values: dict[str, float],
    unit: str,
    goal: str,
    plus: bool = False,
    errors: dict[str, float] | None = None,
    bare: float | None = None,
) -> str:
    def cell(name: str) -> str:
        value = values.get(name)
        if value is None or not plus:
            return number(value, unit)
        error = f" ± {errors[name]:.0f}" if errors and name in errors else ""
        ratio = f" ({1 + value / bare:.2f} ×)" if bare else ""
        return f"{'+' if value >= 0 else '-'} {number(abs(value), '')}{error} {unit}{ratio}"

    cells = [cell(name) for name in COLUMNS]
    return f"| {what} | {' | '.join(cells)} | {goal} |"


def pick(found: dict[str, Any], figure: str, scale: float = 1.0) -> dict[str, float]:
    """One figure of every variant, in another unit."""
    return {name: values[figure] * scale for name, values in found.items() if figure in values}


def plain(found: dict[str, float], suffix: str = "", scale: float = 1.0) -> dict[str, float]:
    """The columns' values, of the variants whose name ends so."""
    return {name: found[name + suffix] * scale for name in COLUMNS if name + suffix in found}


def request_rows(app: str, title: str, goals: tuple[str, str], result: dict[str, Any]) -> list[str]:
    served = result.get(f"app_{app}")
    if not served:
        return []
    bare, added, errors = served["request_us"]["bare"], served["added_us"], served["error_us"]
    what = f"request, {title} ({number(bare, 'µs')} bare)"
    rows = [row(what, plain(added), "µs", goals[0], True, plain(errors), bare)]
    if any(name.endswith("1 %") for name in added):
        sampled = plain(added, " 1 %"), "µs", goals[1], True, plain(errors, " 1 %"), bare
        rows.append(row("the same, 1 % sampled", *sampled))
    return rows


def server_rows(served: dict[str, Any]) -> list[str]:
    rows = []
    for key, title, goal in (("rest", "memory at rest", "≤ 3 MB"), ("after", "memory after the load", "")):
        base = served[key]["bare"]["rss_kib"]
        extra = {name: (each["rss_kib"] - base) / 1024 for name, each in served[key].items()}
        rows.append(row(f"{title} (RSS)", plain(extra), "MB", goal, plus=True))
    for key, title, goal in (("rest", "threads at rest", "0"), ("after", "threads after the load", "≤ 1")):
        base = served[key]["bare"]["threads"]
        extra = {name: float(each["threads"] - base) for name, each in served[key].items()}
        cells = " | ".join(f"+ {extra[name]:.0f}" if name in extra else "–" for name in COLUMNS)
        rows.append(f"| {title} | {cells} | {goal} |")
    return rows


def table(result: dict[str, Any]) -> str:
    """Everything that was measured; rows without figures are left out."""
    versions = result["versions"]
    head = " | ".join(f"{name} {versions[name]}" for name in COLUMNS)
    rows = [f"| CPU, unless it says otherwise | {head} | goal |", "|---|---|---|---|---|"]
    if spans := result.get("span"):
        rows.append(row("span, calling thread", pick(spans, "thread_ns", 1e-3), "µs", "≤ 0.5 µs"))
        rows.append(row("span, whole process, encoded and sent", pick(spans, "process_ns", 1e-3), "µs", "≤ 1 µs"))
    if hook := result.get("hook"):
        rows.append(row("hooked call that is not sampled", plain(hook, scale=1e-3), "µs", "≤ 0.3 µs", plus=True))
    if fork := result.get("fork"):
        bare = {figure: number(fork["bare"][figure] / 1e3, "ms") for figure in ("fork_us", "recording_us")}
        title = f"fork + child's exit ({bare['fork_us']} bare)"
        rows.append(row(title, plain(fork["fork_us"], scale=1e-3), "ms", "≤ 0.3 ms", plus=True))
        rows.append(row("the same, a span in the child", plain(fork["recording_us"], scale=1e-3), "ms", "", plus=True))
    rows += request_rows("a", "Flask + Jinja + 3 × sqlite3", ("1.05 ×", "1.03 ×"), result)
    rows += request_rows("c", "Flask + SQLAlchemy + requests", ("1.04 ×", ""), result)
    if start := result.get("startup"):
        rows.append(row("`python -c pass`, injected", plain(start["pass_ms"]), "ms", "≤ 15 ms", plus=True))
        rows.append(row("the same behind its command", plain(start["command_ms"]), "ms", "", plus=True))
        rows.append(row("import of the Flask app", plain(start["import_ms"]), "ms", "≤ 25 ms", plus=True))
    if result.get("app_a"):
        rows += server_rows(result["app_a"])
    if payload := result.get("payload"):
        rows.append(row("payload on disk", pick(payload, "mb"), "MB", "≤ 3 MB"))
        counts = " | ".join(f"{payload[name]['distributions']:.0f}" for name in COLUMNS)
        rows.append(f"| distributions | {counts} | 0 |")
    if rate := result.get("collector"):
        rows.append(
            f"| collector, received → committed | {rate['spans_per_s_per_core']:,.0f} spans/s/core | – | – "
            "| ≥ 100,000 |"
        )
    return "\n".join(rows)


def report(result: dict[str, Any]) -> str:
    """The table with what one must know to read it."""
    return (
        f"{table(result)}\n\n"
        f"Measured {result['date']} on {result['machine']}, CPython {result['python']}: the bare app, pillion,\n"
        "`opentelemetry-instrument` (traces only, OTLP/gRPC) and `ddtrace-run` in one run, interleaved. `+` comes on\n"
        "top of the bare app: medians of paired differences, ± their standard error. (×) is the whole beside the bare\n"
        "app: the goals of requests are ratios, since machines differ. The peers' collectors are stubs that accept at\n"
        "once.\n"
    )


def into_readme(readme: Path, text: str) -> None:
    """Replaces what lies between the markers."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{readme} has lost its markers {BEGIN} … {END}")
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
