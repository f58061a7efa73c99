# SPDX-License-Identifier: Apache-2.0
"""Whatever an application names its spans, asks its database or calls: the memory that we take has a bound."""

from __future__ import annotations

from tests.support.traced import Traced


def test_a_million_distinct_names_values_and_queries_take_bounded_memory(traced: Traced) -> None:
    """Of everything that is kept for the next time: names, keys, values, texts of queries, hosts, templates."""
    code = """
        import http.client, resource, sqlite3, sys
        import jinja2, pillion, pillion._native as native
        from pillion import db
        database = sqlite3.connect(":memory:", cached_statements=0)
        template = jinja2.Template("x")
        def rss():
            return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1024
        def record(numbers):
            for number in numbers:
                with pillion.span(f"name {number}", kind=str(number)) as span:
                    span.set(f"key {number}", f"value {number}")
                if number % 50 == 0:
                    database.execute(f"SELECT {number} AS a{number}").fetchall()
                    template.name = f"page {number}.html"
                    template.render()
                if number % 1000 == 0:
                    native.flush(0.001)
        record(range(50000))
        native.flush(10)
        before = rss()
        record(range(50000, 1000000))
        native.flush(10)
        told = native.stats()
        print(rss() - before, told["recorded"], len(db._known) <= db.KNOWN if hasattr(db, "_known") else True)
    """
    ended = traced.run(code, PILLION_RING_BYTES="1M")
    assert (ended.code, ended.err) == (0, "")
    grown, recorded, bounded = ended.out.split()
    assert int(grown) < 24000, "KiB"
    assert int(recorded) >= 1_000_000 and bounded == "True"
