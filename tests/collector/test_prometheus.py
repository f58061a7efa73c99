# SPDX-License-Identifier: Apache-2.0
"""The Prometheus text, compared as text."""

from __future__ import annotations

from pillion_collector.prometheus import Family, exposition


def test_a_family_is_help_type_and_its_samples() -> None:
    family = Family("pillion_refused_total", "counter", "Requests refused.")
    family.add(3, kind="traces", reason="busy").add(0, kind="logs", reason="busy")
    assert exposition([family, Family("pillion_up", "gauge", "1").add(1)]) == (
        "# HELP pillion_refused_total Requests refused.\n"
        "# TYPE pillion_refused_total counter\n"
        'pillion_refused_total{kind="traces",reason="busy"} 3\n'
        'pillion_refused_total{kind="logs",reason="busy"} 0\n'
        "# HELP pillion_up 1\n"
        "# TYPE pillion_up gauge\n"
        "pillion_up 1\n"
    )


def test_foreign_text_in_labels_and_help_stays_inside_its_quotes() -> None:
    family = Family("a", "gauge", "back\\slash\nline").add(1, service='sh"op\\\n} 1')
    assert exposition([family]) == ('# HELP a back\\\\slash\\nline\n# TYPE a gauge\na{service="sh\\"op\\\\\\n} 1"} 1\n')


def test_an_unknown_value_is_left_out_and_a_family_without_samples_too() -> None:
    assert exposition([Family("a", "gauge", "x").add(None, service="s")]) == "\n"
    assert "instance" not in exposition([Family("a", "gauge", "x").add(1, service="s", instance=None)])


def test_names_and_numbers_keep_to_the_format() -> None:
    family = Family("process.cpu time", "gauge", "x")
    for value in (0.1, 1e300, float("inf"), float("-inf"), float("nan")):
        family.add(value)
    numbers = [line.split()[1] for line in exposition([family]).splitlines()[2:]]
    assert numbers == ["0.1", "1e+300", "+Inf", "-Inf", "NaN"]
    assert exposition([family]).splitlines()[2].startswith("process_cpu_time ")
