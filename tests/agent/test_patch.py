# SPDX-License-Identifier: Apache-2.0
"""The engine, on a small library written for it: every kind of callable, hooks that fail, and undoing."""

from __future__ import annotations

import textwrap

import pytest

from tests.support.traced import Traced

LIBRARY = """
import asyncio
class Base:
    def method(self, a, b=2): return (type(self).__name__, a, b)
    @classmethod
    def made(cls, x): return (cls.__name__, x)
    @staticmethod
    def plain(x): return x
class Thing(Base):
    def fails(self): raise KeyError("inside")
def function(a, *, k=1):
    "documented"
    return a + k
async def coroutine(x):
    await asyncio.sleep(0)
    return x
def generator(n):
    got = []
    for i in range(n):
        got.append((yield i))
    return got
async def agenerator(n):
    for i in range(n):
        yield i
"""
HOOKED = """
import sys, asyncio, inspect
from pillion import guard, patch, _native
from pillion.patch import Target, INTERNAL, CLIENT, OBSERVE, REPLACE
def describe(call): return "span", {"args": len(call.args)}
def conclude(call, result): return {"result": repr(result)}
class Hook:
    name, modules, file = "lib", ("lib",), "lib"
    TARGETS = {}
    def load(self): return self
hook = Hook()
engine = patch.Engine([hook])
def hook_all(*names, **options):
    options.setdefault("conclude", conclude)
    kind = options.pop("kind", INTERNAL)
    options.setdefault("describe", describe)
    hook.TARGETS = {"lib:" + name: Target(kind, **options) for name in names}
"""


def program(body: str) -> str:
    return HOOKED + textwrap.dedent(body)


@pytest.fixture
def lib(traced: Traced) -> Traced:
    traced.write(LIBRARY, "lib.py")
    return traced


def test_functions_methods_and_class_methods_keep_results_and_signatures(lib: Traced) -> None:
    result = lib.run(
        program("""
        import lib as bare
        signatures = [str(inspect.signature(f)) for f in (bare.function, bare.Thing.method, bare.Thing.made)]
        del sys.modules["lib"]
        hook_all("function", "Base.method", "Base.made", "Base.plain")
        engine.install()
        import lib
        assert [str(inspect.signature(f)) for f in (lib.function, lib.Thing.method, lib.Thing.made)] == signatures
        assert lib.function.__name__ == "function" and lib.function.__doc__ == "documented"
        assert lib.function(1, k=2) == 3
        assert lib.Thing().method(1) == ("Thing", 1, 2)
        assert lib.Thing().method(1, b=5) == ("Thing", 1, 5)
        assert lib.Thing.made(3) == ("Thing", 3) and lib.Base().plain(4) == 4
        import pickle
        assert pickle.loads(pickle.dumps(lib.function)) is lib.function
        print(guard.counts)
    """)
    )
    assert (result.code, result.out) == (0, "{}\n"), result.err
    lib.sink.wait(lambda: len(lib.sink.spans) == 5)
    assert sorted(span.attributes["args"] for span in lib.sink.spans) == [1, 1, 2, 2, 2]


def test_what_was_imported_before_is_wrapped_too_and_undo_gives_it_back(lib: Traced) -> None:
    result = lib.run(
        program("""
        import lib
        before = dict(vars(lib)), dict(vars(lib.Base)), dict(vars(lib.Thing))
        hook_all("function", "Base.method", "Thing.made", "coroutine", "generator", "missing", "Thing.nothing.deep")
        engine.install()
        changed = lib.function
        assert vars(lib)["function"] is not before[0]["function"]
        engine.undo()
        assert (dict(vars(lib)), dict(vars(lib.Base)), dict(vars(lib.Thing))) == before
        assert changed(1) == 2  # a reference that was kept goes straight to the original
        assert engine not in sys.meta_path
        print(sorted(guard.notes))
    """)
    )
    assert result.code == 0, result.err
    assert "lib:missing is missing" in result.out and "lib:Thing.nothing.deep is missing" in result.out
    assert lib.sink.spans == []


def test_exceptions_pass_unchanged_and_are_recorded(lib: Traced) -> None:
    result = lib.run(
        program("""
        hook_all("Thing.fails")
        engine.install()
        import lib, traceback
        try:
            lib.Thing().fails()
        except KeyError as error:
            frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            print(error.args, frames, error.__context__)
    """)
    )
    assert result.out == "('inside',) ['<module>', 'fails'] None\n", result.err
    lib.sink.wait(lambda: bool(lib.sink.spans))
    assert lib.sink.spans[0].status == 2 and lib.sink.spans[0].attributes["error.type"] == "KeyError"


def test_coroutines_and_generators_end_when_they_end(lib: Traced) -> None:
    result = lib.run(
        program("""
        hook_all("coroutine", "generator", "agenerator")
        engine.install()
        import lib
        assert inspect.iscoroutinefunction(lib.coroutine) and inspect.isgeneratorfunction(lib.generator)
        assert inspect.isasyncgenfunction(lib.agenerator)
        assert asyncio.run(lib.coroutine(5)) == 5
        g = lib.generator(3)
        got = [next(g), g.send("a"), g.send("b")]
        assert _native.current() is None
        try: g.send("c")
        except StopIteration as stop: assert stop.value == ["a", "b", "c"]
        closed = lib.generator(9); next(closed); closed.close()
        async def main():
            found = [i async for i in lib.agenerator(3)]
            late = lib.agenerator(9)
            await late.__anext__()
            await late.aclose()
            return found
        assert asyncio.run(main()) == [0, 1, 2] and got == [0, 1, 2]
        print(guard.counts, _native.current())
    """)
    )
    assert (result.code, result.out) == (0, "{} None\n"), result.err
    lib.sink.wait(lambda: len(lib.sink.spans) == 5)
    assert [span.status for span in lib.sink.spans] == [0] * 5


@pytest.mark.parametrize(
    "broken",
    ["describe=lambda call: 1/0", "describe=lambda call: 42", "describe=lambda call: (1, 2)",
     "conclude=lambda c, r: 1/0", "describe=lambda call: ('x', 7)", "describe=lambda: None",
     "conclude=lambda c, r: 'text'"],
)  # fmt: skip
def test_a_broken_hook_never_reaches_the_application_and_is_switched_off(lib: Traced, broken: str) -> None:
    result = lib.run(
        program(f"""
        hook_all("function", {broken})
        engine.install()
        import lib
        for _ in range(30):
            assert lib.function(1) == 2
        print(max(guard.counts.values(), default=0), lib.function.pillion_disabled)
    """)
    )
    assert result.code == 0, result.err
    assert result.out in ("10 True\n", "0 False\n")
    assert result.err == ""


def test_a_broken_hook_of_a_coroutine_or_generator_is_switched_off_too(lib: Traced) -> None:
    result = lib.run(
        program("""
        hook_all("coroutine", describe=lambda call: 1/0)
        hook.TARGETS["lib:generator"] = Target(INTERNAL, describe, lambda call, result: 1/0)
        engine.install()
        import lib
        async def main():
            assert [await lib.coroutine(n) for n in range(30)] == list(range(30))
        asyncio.run(main())
        for _ in range(30): assert list(lib.generator(2)) == [0, 1]
        print(guard.counts.values(), lib.coroutine.pillion_disabled, lib.generator.pillion_disabled)
    """)
    )
    assert (result.out, result.err) == ("dict_values([20]) True True\n", "")


def test_a_family_makes_one_span_and_an_unsampled_trace_none(lib: Traced) -> None:
    result = lib.run(
        program("""
        hook_all("function", "Base.plain", kind=CLIENT, family="db")
        hook.TARGETS["lib:Base.plain"].describe = lambda call: "outer"
        engine.install()
        import lib
        inner = lib.function
        lib.Base.plain.__wrapped__.__code__ = (lambda x: __import__("lib").function(x)).__code__
        assert lib.Base.plain(1) == 2
        print(guard.counts)
    """)
    )
    assert result.out == "{}\n", result.err
    lib.sink.wait(lambda: bool(lib.sink.spans))
    assert [span.name for span in lib.sink.spans] == ["outer"]


def test_an_import_that_fails_under_the_hook_fails_as_without(lib: Traced) -> None:
    code = program("""
        hook_all("function")
        engine.install()
        for _ in range(2):
            try:
                import lib
            except ZeroDivisionError as error:
                print(error, "lib" in sys.modules)
    """)
    lib.write(LIBRARY + "\n1/0\n", "lib.py")
    result = lib.run(code)
    assert result.out == "division by zero False\n" * 2, result.err


def test_observe_and_replace_make_no_span(lib: Traced) -> None:
    result = lib.run(
        program("""
        seen = []
        hook.TARGETS = {
            "lib:function": Target(OBSERVE, lambda call: seen.append(call.get(0, "a")), lambda c, r: seen.append(r)),
            "lib:Base.plain": Target(REPLACE, conclude=lambda c, r: r * 10),
            "lib:Thing.fails": Target(OBSERVE, failed=lambda c, e: seen.append(type(e).__name__)),
        }
        engine.install()
        import lib
        assert lib.function(1) == 2 and lib.Base.plain(4) == 40
        try: lib.Thing().fails()
        except KeyError: pass
        print(seen)
    """)
    )
    assert result.out == "[1, 2, 'KeyError']\n", result.err
    assert lib.sink.spans == []


def test_what_a_signal_handler_raises_while_a_hook_runs_reaches_the_application(lib: Traced) -> None:
    result = lib.run(
        program("""
        import os, signal
        def leave(*_): raise SystemExit(9)
        signal.signal(signal.SIGTERM, leave)
        def describe(call):
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(1000): pass
            return "span"
        hook_all("function", describe=describe)
        engine.install()
        import lib
        lib.function(1)
        for _ in range(100000): pass
        print("lost")
    """)
    )
    assert (result.code, result.out) == (9, ""), result.err


def test_what_was_handed_over_for_good_is_switched_off_when_all_is_undone(traced: Traced) -> None:
    result = traced.run("""
        import asyncio, gc
        from pillion import asgi, patch, start, wsgi
        one = wsgi.wrap(lambda environ, start_response: start_response("200 OK", []) or [b"ok"])
        async def answer(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
        two = asgi.wrap(answer)
        async def send(message): pass
        def ask():
            one({"REQUEST_METHOD": "GET"}, lambda *_: None)
            asyncio.run(two({"type": "http", "method": "POST"}, None, send))
        ask()
        known = len(patch._kept)
        for _ in range(50): wsgi.wrap(ask)
        gc.collect()
        assert len(patch._kept) == known, patch._kept
        start.stand_down("a test")
        ask()
    """)
    assert (result.code, result.err) == (0, "")
    traced.sink.wait(lambda: len(traced.sink.spans) >= 2)
    assert [span.name for span in traced.sink.spans] == ["GET", "POST"]
