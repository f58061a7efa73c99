# SPDX-License-Identifier: Apache-2.0
"""What the module promises inside a process, on every CPython: run by `python -m unittest` in an injected interpreter.

Standard library only, and Python 3.8's syntax: no pip is needed in the version under test.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import inspect
import logging
import os
import subprocess
import sys
import threading
import unittest

import pillion
from pillion import _native

try:
    import sqlite3
except ImportError:  # a CPython may be built without it
    sqlite3 = None


class SpanTest(unittest.TestCase):
    def test_a_nested_span_belongs_to_the_outer_ones_trace(self):
        with pillion.span("outer") as outer:
            with pillion.span("inner", number=1) as inner:
                self.assertEqual(inner.trace_id, outer.trace_id)
                self.assertNotEqual(inner.span_id, outer.span_id)
                self.assertIs(_native.current(), inner)
            self.assertIs(_native.current(), outer)
        self.assertIsNone(_native.current())

    def test_an_exception_leaves_a_span_unchanged(self):
        error = KeyError("mine")
        with self.assertRaises(KeyError) as caught, pillion.span("failing"):
            raise error
        self.assertIs(caught.exception, error)
        self.assertIsNone(_native.current())

    def test_values_of_any_kind_are_taken(self):
        with pillion.span("values") as span:
            for value in (
                "é",
                "\ud800",
                b"\x00",
                True,
                5,
                2**70,
                1.5,
                float("nan"),
                [1, 2],
                ("a", None),
                {"k": 1},
                object(),
            ):
                span.set("key", value)
            span.event("happened", {"n": 1})
            span.status(2, "why")

    def test_calls_after_the_end_do_nothing(self):
        with pillion.span("ended") as span:
            pass
        span.set("late", 1)
        span.end()
        self.assertTrue(span.ended)

    def test_spans_leave_no_references_behind(self):
        class Value:
            pass

        value = Value()
        before = sys.getrefcount(value)
        for _ in range(100):
            with pillion.span("counted", value=value) as span:
                span.set("again", value)
        del span
        gc.collect()
        self.assertEqual(sys.getrefcount(value), before)


class ContextTest(unittest.TestCase):
    def test_a_thread_runs_under_the_span_that_started_it(self):
        seen = []
        with pillion.span("here") as span:
            thread = threading.Thread(target=lambda: seen.append(_native.current()))
            thread.start()
            thread.join()
        self.assertEqual(seen, [span])

    @unittest.skipIf(sys.version_info < (3, 14), "threads are given a context since 3.14")
    def test_a_context_that_a_thread_was_given_stays_as_it_was(self):
        seen = []
        variable, context = contextvars.ContextVar("variable"), contextvars.Context()
        context.run(variable.set, 1)
        with pillion.span("here"):
            thread = threading.Thread(target=lambda: seen.append((variable.get(), _native.current())), context=context)
            thread.start()
            thread.join()
        self.assertEqual(seen, [(1, None)])
        self.assertEqual(list(context), [variable])

    def test_a_pools_thread_has_each_jobs_span_and_none_of_its_own(self):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for name in ("one", "two"):
                with pillion.span(name) as span:
                    self.assertIs(pool.submit(_native.current).result(), span)
            self.assertIsNone(pool.submit(_native.current).result())

    def test_tasks_keep_their_own_spans(self):
        async def work(name):
            with pillion.span(name) as span:
                await asyncio.sleep(0)
                return _native.current() is span

        async def main():
            return await asyncio.gather(*(work(str(n)) for n in range(10)))

        self.assertEqual(asyncio.run(main()), [True] * 10)

    def test_a_decorated_coroutine_is_one_and_returns_its_value(self):
        @pillion.span("work")
        async def work(x, *, y=2):
            await asyncio.sleep(0)
            return x + y

        self.assertTrue(inspect.iscoroutinefunction(work))
        self.assertEqual(asyncio.run(work(1)), 3)

    def test_a_decorated_generator_yields_the_same(self):
        @pillion.span("count")
        def count(n):
            yield from range(n)
            return "done"

        self.assertTrue(inspect.isgeneratorfunction(count))
        self.assertEqual(list(count(3)), [0, 1, 2])

    def test_what_is_injected_comes_out_again(self):
        with pillion.span("caller") as span:
            headers = dict(_native.inject())
        remote = _native.extract(headers)
        self.assertEqual((remote.trace_id, remote.span_id), (span.trace_id, span.span_id))


class HookTest(unittest.TestCase):
    @unittest.skipIf(sqlite3 is None, "this CPython has no SQLite")
    def test_sqlite_behaves_as_ever(self):
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE TABLE t (a)")
            self.assertEqual(database.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)]).rowcount, 2)
            self.assertEqual(database.execute("SELECT a FROM t ORDER BY a").fetchall(), [(1,), (2,)])
            with self.assertRaisesRegex(sqlite3.OperationalError, "no such table: missing"):
                database.execute("SELECT * FROM missing")

    def test_a_log_record_knows_the_span(self):
        records = []
        handler = logging.Handler()
        handler.emit = records.append
        logger = logging.Logger("everywhere")
        logger.addHandler(handler)
        with pillion.span("logging") as span:
            logger.warning("inside")
        found = [value for value in vars(records[0]).values() if value == span.trace_id]
        self.assertTrue(found, vars(records[0]))


class ProcessTest(unittest.TestCase):
    def test_the_module_is_this_versions(self):
        tag = "{}{}".format(*sys.version_info[:2])  # of a wheel, or of a bundle
        self.assertRegex(_native.__file__, f"(cpython-|/cp){tag}[-/]")

    def test_children_by_fork_record_and_end_as_they_want(self):
        for code in range(8):
            child = os.fork()
            if child == 0:
                with pillion.span("child"):
                    pass
                os._exit(code)
            self.assertEqual(os.WEXITSTATUS(os.waitpid(child, 0)[1]), code)

    def test_a_child_interpreter_runs_with_and_without_isolation(self):
        for flag in ("-I", "-E", "-S", "-B"):
            ended = subprocess.run([sys.executable, flag, "-c", "print(1)"], capture_output=True)
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, b"1\n", b""), flag)

    def test_everything_recorded_is_sent_or_counted(self):
        with pillion.span("last"):
            pass
        self.assertTrue(_native.flush(10))
        self.assertGreater(_native.stats()["recorded"], 0)


if __name__ == "__main__":
    unittest.main()
