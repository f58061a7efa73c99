# SPDX-License-Identifier: Apache-2.0
"""A client's span is current by the thread's word alone: whoever asks within the call must not be able to tell.

And a description that a hook gives twice is copied the second time: with the same attributes.
"""

from __future__ import annotations

BEGIN = """
    import contextvars, sqlite3, pillion
    from pillion import _native
    other = contextvars.ContextVar("other")
    other.set(1)  # this thread has a context
    db = sqlite3.connect(":memory:")
"""


def spans_of(sink, count):
    sink.wait(lambda: len(sink.spans) >= count)
    return sink.spans


def test_span_opened_inside_the_call_is_its_child_and_leaves_it_current(traced, sink):
    ran = traced.run(
        BEGIN
        + """
    def within(x):
        around = _native.current()
        with pillion.span("inner"):
            assert _native.current() is not around
        assert _native.current() is around
        return x
    db.create_function("within", 1, within)
    with pillion.span("outer") as outer:
        db.execute("SELECT within(1)").fetchone()
        assert _native.current() is outer
        db.execute("SELECT within(2)").fetchone()
        assert _native.current() is outer
    assert _native.current() is None
    """
    )
    assert (ran.code, ran.err) == (0, "")
    spans = spans_of(sink, 5)
    queries = [span for span in spans if span.scope == "pillion.sqlite3"]
    parents = [span.parent_id for span in spans if span.name == "inner"]
    assert sorted(parents) == sorted(query.span_id for query in queries)


def test_another_context_does_not_see_it_and_a_change_of_this_one_does_not_hide_it(traced):
    ran = traced.run(
        BEGIN
        + """
    seen = []
    def look(x):
        here = _native.current()
        seen.append(contextvars.Context().run(_native.current))
        other.set(x)  # the context changes, and stays the same context
        assert _native.current() is here and here is not None
        return x
    db.create_function("look", 1, look)
    db.execute("SELECT look(1)").fetchone()
    assert seen == [None], seen
    assert _native.current() is None and other.get() == 1
    """
    )
    assert (ran.code, ran.err) == (0, "")


def test_query_inside_a_query_is_the_inner_librarys_and_the_outer_stays_current(traced, sink):
    ran = traced.run(
        BEGIN
        + """
    class Broken(Exception): pass
    def nested(x):
        here = _native.current()
        try:
            with pillion.span("between"):
                db.execute("SELECT 1")
                raise Broken
        except Broken:
            assert _native.current() is here
        db.execute("SELECT 2")  # of the same family: no span
        assert _native.current() is here
        return x
    db.create_function("nested", 1, nested)
    db.execute("SELECT nested(1)").fetchone()
    assert _native.current() is None
    """
    )
    assert (ran.code, ran.err) == (0, "")
    assert [span.name for span in spans_of(sink, 3)].count("SELECT") == 2


def test_description_given_again_has_the_same_attributes(traced, sink):
    ran = traced.run(
        BEGIN
        + """
    for number in range(3):
        with pillion.span("outer", number=number):
            db.execute("SELECT a FROM (SELECT 1 AS a) WHERE a = ?", (number,))
    """
    )
    assert (ran.code, ran.err) == (0, "")
    queries = [span for span in spans_of(sink, 6) if span.scope == "pillion.sqlite3"]
    first = queries[0].attributes
    assert first["db.query.text"] == "SELECT a FROM (SELECT 1 AS a) WHERE a = ?"
    assert [(query.name, query.attributes) for query in queries] == [(queries[0].name, first)] * 3


def test_description_whose_place_is_taken_while_its_span_begins_keeps_its_attributes(traced, sink):
    ran = traced.run(
        BEGIN
        + """
    import threading, time
    def take_every_place():
        mine = sqlite3.connect(":memory:")
        for number in range(3000):
            mine.execute(f"SELECT 1 AS other_{number}")
    def tick():
        thread = threading.Thread(target=take_every_place)
        thread.start()
        thread.join()
        ticked.append(_native.set_tick(None))
    ticked = []
    db.execute("SELECT 1 AS wanted")
    _native.set_tick(tick)
    while not ticked:  # it's called once a second
        time.sleep(0.02)
        db.execute("SELECT 1 AS wanted")
    """
    )
    assert (ran.code, ran.err) == (0, "")
    texts = [span.attributes["db.query.text"] for span in sink.spans]
    assert len(texts) - texts.count("SELECT ? AS wanted") == len(set(texts)) - 1 == 3000
