# SPDX-License-Identifier: Apache-2.0
"""Hooks as guests of libraries: nothing of a wrapped function changes, none depends on another or on who came first."""

from __future__ import annotations

import json

import pytest

from tests.support.guest import same, was_traced
from tests.support.traced import BOOT, Traced

IMPORT_ALL = """
import contextlib, importlib, json, sys
sys.path.append(AGENT)
from pillion.hooks import HOOKS
def targets():
    for hook in HOOKS:
        for module in hook.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    for hook in HOOKS:
        source = importlib.util.find_spec("pillion.hooks." + hook.file).loader.get_source("pillion.hooks." + hook.file)
        for address in sorted(set(__import__("re").findall(r'"([a-z][\\w.]+:[\\w.]+)"', source))):
            module, _, path = address.partition(":")
            owner = sys.modules.get(module)
            for name in path.split(".")[:-1]:
                owner = getattr(owner, name, None)
            name = path.rpartition(".")[2]
            if owner is not None and hasattr(owner, name):
                yield hook.name, address, owner, name
""".replace("AGENT", repr(str(BOOT.parents[1])))
BOOT_NOW = f"""
import runpy, types
sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
sys.path.insert(0, {str(BOOT)!r})
runpy.run_path({str(BOOT / "sitecustomize.py")!r})
"""


def test_every_wrapped_function_looks_and_behaves_like_the_original(traced: Traced) -> None:
    code = (
        IMPORT_ALL
        + """
import asyncio, builtins, copy, functools, inspect, pickle, re, weakref
def print(*seen):
    builtins.print(re.sub(" at 0x[0-9a-f]+", "", " ".join(map(str, seen))))
for hook, address, owner, name in targets():
    function = getattr(owner, name)
    class Subclass(owner if isinstance(owner, type) else object):
        pass
    try:
        signature = str(inspect.signature(function))
    except ValueError as error:
        signature = "no signature"
    asked = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction, callable,
             asyncio.iscoroutinefunction, inspect.isclass, inspect.isabstract)
    print(address, signature, [ask(function) for ask in asked], function.__name__, function.__qualname__)
    print("  ", function.__module__ if hasattr(function, "__module__") else "-", hash(function.__doc__ or "") != 1)
    print("  ", getattr(function, "__defaults__", "-"), getattr(function, "__kwdefaults__", "-"))
    print("  ", sorted(getattr(function, "__annotations__", {})), repr(function).partition(" at 0x")[0])
    in_c = hook in ("sqlite3", "psycopg2")  # those of C have no weak references
    print("  ", in_c or weakref.ref(function)() is function, {function: 1}[function])
    alias = hook == "threading"  # its name is another module's
    print("  ", alias or pickle.loads(pickle.dumps(function)) is function, copy.copy(function) is function)
    print("  ", copy.deepcopy(function) is function, name in dir(owner))
    if isinstance(owner, type):
        print("  ", name in vars(owner), getattr(super(Subclass, Subclass), name) == function)
        print("  ", isinstance(inspect.getattr_static(owner, name), (staticmethod, classmethod)))
        overridden = type("Over", (Subclass,), {name: lambda self, *a, **k: "own"})
        print("  ", getattr(overridden, name)(None), functools.partial(function).func is function)
"""
    )
    both = same(traced, code, PYTHONHASHSEED="0")
    assert len(both.ours.out.splitlines()) > 100
    was_traced(traced)


def test_what_was_imported_before_us_is_hooked_all_the_same(traced: Traced) -> None:
    """As by a .pth file or another sitecustomize: each library first, then the start."""
    tell = """
from pillion._native import Wrapper
def inner(found):
    return getattr(found, "__func__", found)
wrapped = {}
for hook, address, owner, name in targets():
    found = inner(__import__("inspect").getattr_static(owner, name))
    wrapped[address] = isinstance(found, Wrapper) or hasattr(found, "pillion_disabled")
print(json.dumps(wrapped))
"""
    before = traced.run(IMPORT_ALL + "list(targets())\n" + BOOT_NOW + tell, PYTHONPATH="")
    after = traced.run(IMPORT_ALL + tell)
    assert (before.code, before.err, after.err) == (0, "", "")
    told = json.loads(before.out)
    assert told == json.loads(after.out)
    assert sum(told.values()) >= 15, told


def test_the_start_a_second_time_changes_nothing_and_doubles_nothing(traced: Traced) -> None:
    code = (
        """
import sqlite3, sys
database = sqlite3.connect(":memory:")
database.execute("SELECT 1").fetchall()
"""
        + BOOT_NOW
        + """
import jinja2
database.execute("SELECT 2").fetchall()
print(jinja2.Template("hello").render())
"""
    )
    result = traced.run(code)
    assert (result.code, result.out, result.err) == (0, "hello\n", "")
    traced.sink.wait(lambda: len(traced.sink.spans) >= 3)
    assert sorted(span.name for span in traced.sink.spans) == ["SELECT", "SELECT", "render template"]
    (record,) = traced.records()
    assert record["decision"] == "injected", record


BROKEN = """
import sys
if "pillion._native" in sys.modules:
    from pillion.hooks import Hook
    load = Hook.load
    def broken(hook):
        if hook.name == "sqlite3":
            raise {error}
        return load(hook)
    Hook.load = broken
"""


@pytest.mark.parametrize("error", ["ImportError('gone')", "SyntaxError('bad')", "MemoryError()", "RecursionError()"])
def test_a_hook_that_cannot_be_loaded_leaves_the_others_working(traced: Traced, error: str) -> None:
    own = traced.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(BROKEN.format(error=error))
    code = """
        import http.client, sqlite3, jinja2
        try:
            http.client.HTTPConnection("127.0.0.1", 1).request("GET", "/")
        except OSError as error:
            print(type(error).__name__)
        print(sqlite3.connect(":memory:").execute("SELECT 5").fetchall(), jinja2.Template("hello").render())
    """
    bare = traced.bare(code, PYTHONPATH=str(own))
    ours = traced.run(code, PYTHONPATH=f"{BOOT}:{own}")
    assert (ours.code, ours.out, ours.err) == (bare.code, bare.out, bare.err)
    traced.sink.wait(lambda: {"GET", "render template"} <= {span.name for span in traced.sink.spans})
    assert not traced.sink.named("SELECT")
    kind = error.partition("(")[0]
    assert f"hook sqlite3: {kind}" in traced.log()
    (record,) = traced.records()
    assert any(note.startswith(f"hook sqlite3 is off: {kind}") for note in record["notes"]), record


def test_a_version_that_lacks_a_function_costs_that_function_and_is_told(traced: Traced) -> None:
    """A jinja2 of another world: one target is there, one is gone, one is no function any more."""
    fake = traced.folder / "jinja2"
    fake.mkdir()
    (fake / "__init__.py").write_text("")
    (fake / "environment.py").write_text(
        "class Template:\n    name = 'page'\n    class environment: is_async = False\n    generate = 5\n"
        "    async def render_async(self): return 'a'\n    def render_(self): return 'b'\n"
    )
    code = """
        import asyncio, jinja2.environment, sqlite3
        template = jinja2.environment.Template()
        print(asyncio.run(template.render_async()), template.generate, template.render_())
        print(sqlite3.connect(":memory:").execute("SELECT 5").fetchall())
    """
    same(traced, code)
    traced.sink.wait(lambda: {"render page", "SELECT"} <= {span.name for span in traced.sink.spans})
    (record,) = traced.records()
    assert "jinja2.environment:Template.render is missing in this version" in record["notes"]
    assert "jinja2.environment:Template.generate is no method in this version" in record["notes"]
    assert record["decision"] == "injected"


def test_an_application_that_recurses_too_deep_keeps_its_hooks(traced: Traced) -> None:
    ran = traced.run(
        """
        import sqlite3
        db = sqlite3.connect(":memory:")
        def deep():
            try:
                db.executemany("INSERT INTO missing VALUES (?)", [(1,)])
            except (RecursionError, sqlite3.OperationalError):
                pass
            deep()
        for _ in range(20):
            try:
                deep()
            except RecursionError:
                pass
        print(sqlite3.Connection.executemany.pillion_disabled)
        """,
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert (ran.code, ran.out, ran.err) == (0, "False\n", "")
    assert "RecursionError" in traced.log()
