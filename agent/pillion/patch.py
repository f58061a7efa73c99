# SPDX-License-Identifier: Apache-2.0
"""patch: the engine. Hooks describe calls; this wraps, watches imports, and can undo itself.

A library is wrapped when it's imported, or at once where it was imported before us. Functions and methods get a C
wrapper (native/module_wrap.c), coroutines and generators one from patch_async.py. Nothing here raises into the
application: a hook that fails to apply is reported and the library stays as it is.
"""

from __future__ import annotations

import sys
from _weakref import ref

from pillion import guard
from pillion._native import Call, Span, Wrapper, begin, current, measures, set_type_attribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable, Iterable, Mapping, Sequence

    from pillion.hooks import Hook

__all__ = ["CARRY", "CLIENT", "CONSUMER", "DETACH", "INTERNAL", "OBSERVE", "PRODUCER", "REPLACE", "SERVER", "START"]
__all__ += ["ASGI", "WSGI", "Call", "Target"]

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5  # a span of this kind around each call
OBSERVE, REPLACE, WSGI = 10, 11, 12  # no span · conclude's value instead of the result · a WSGI callable
# No span, no describe: the method's argument `fn` or `func` runs under the current span, wherever it runs · the same of
# a function's first argument, a thread's · nothing does: what the call starts for itself begins without a span.
CARRY, START, DETACH = 13, 14, 15
ASGI = 16  # no describe: an ASGI callable, as WSGI is one
FAMILIES = {None: 0, "http": 1, "db": 2}  # inside a span of its family a call makes no second one
_kept: set[ref[Any]] = set()  # of keep()


class Target:
    """What is done around one function: the kind, and the hook's three pure functions.

    describe(call) -> name | (name, attributes) | None, conclude(call, result) -> attributes | None and
    failed(call, exception) -> attributes | None. `optional`: may be missing in some versions of the library.
    `measured` makes it cheaper to count a call of a family in a trace that isn't sampled: a function in place of
    describe, measured(call) -> the metric's attributes | None, or (index, name) of the one argument, a text, that
    alone decides which they are.
    """

    __slots__ = ("conclude", "describe", "failed", "family", "kind", "measured", "optional")

    def __init__(
        self,
        kind: int,
        describe: Callable[[Call], Any] | None = None,
        conclude: Callable[[Call, Any], Any] | None = None,
        failed: Callable[[Call, BaseException], Any] | None = None,
        family: str | None = None,
        optional: bool = False,
        measured: Callable[[Call], Any] | tuple[int, str] | None = None,
    ) -> None:
        self.kind = kind
        self.describe = describe
        self.conclude = conclude
        self.failed = failed
        self.family = FAMILIES[family]
        self.optional = optional
        self.measured = measured


def stands_aside(parent: object, family: int) -> bool:
    """Whether a call makes no span of its own: a span of its family is open around it, or its trace isn't sampled and
    nothing counts it."""
    if not isinstance(parent, Span) or parent.ended:
        return False
    if family == 0:
        return not parent.recording
    return parent.family == family or not (parent.recording or measures())


def open_span(hook: str, name: str, kind: int, attributes: Mapping[str, Any] | None, family: str | None) -> Span | None:
    """A span for a call that spreads over several functions: begun, not current. None: there's one of its family."""
    if stands_aside(current(), FAMILIES[family]):
        return None
    span = begin(name, kind, "pillion." + hook)
    span.family = FAMILIES[family]
    span.measure()
    if attributes:
        span.set_many(attributes)
    return span


class Change:
    """One attribute of a library that was replaced."""

    __slots__ = ("inherited", "name", "original", "owner", "replacement", "wrapper")

    def __init__(self, owner: Any, name: str, original: Any, inherited: bool, replacement: Any, wrapper: Any) -> None:
        self.owner = owner
        self.name = name
        self.original = original
        self.inherited = inherited
        self.replacement = replacement
        self.wrapper = wrapper

    def undo(self) -> None:
        """Puts the original back, unless somebody else wrapped it meanwhile: then ours lets calls through."""
        try:
            self.wrapper.pillion_disabled = True
        except AttributeError:
            pass
        if vars(self.owner).get(self.name) is not self.replacement:
            return
        if self.inherited:
            delattr(self.owner, self.name)
        else:
            _assign(self.owner, self.name, self.original)


def _assign(owner: Any, name: str, value: object) -> None:
    try:
        setattr(owner, name, value)
    except TypeError:  # a type that Python code may not change
        set_type_attribute(owner, name, value)


def _find(owner: Any, name: str) -> tuple[Any, bool]:
    """The attribute as it lies in the dictionary, and whether it's a base class's."""
    if not isinstance(owner, type):
        return getattr(owner, name), False
    for base in owner.__mro__:
        if name in vars(base):
            return vars(base)[name], base is not owner
    raise AttributeError(name)


def wrap(original: Any, target: Target, scope: str) -> Any:
    """A callable that stands in for `original`; static and class methods keep their kind."""
    if isinstance(original, (staticmethod, classmethod)):
        inner = wrap(original.__func__, target, scope)
        return type(original)(inner)
    flags = getattr(getattr(original, "__code__", None), "co_flags", 0)
    if flags & 0x2A0 and target.kind < OBSERVE:  # generator, coroutine, async generator
        from pillion import patch_async

        return patch_async.wrap(original, target, scope, flags)
    functions = target.describe, target.conclude, target.failed
    return Wrapper(original, target.kind, scope, *functions, target.family, target.measured)


def keep(wrapper: Any) -> Any:
    """A wrapper that a hook hands over for good (an application to its server): undo can only switch it off."""
    _kept.add(ref(wrapper, _kept.discard))
    return wrapper


def apply(module: ModuleType, qualname: str, target: Target, scope: str) -> Change | None:
    """Wraps one target. None: it's not there, or wrapped already. Raises what the library raises."""
    owner: Any = module
    *path, name = qualname.split(".")
    try:
        for part in path:
            owner = getattr(owner, part)
        original, inherited = _find(owner, name)
    except AttributeError:
        if not target.optional:
            guard.notes.append(f"{module.__name__}:{qualname} is missing in this version")
        return None
    if isinstance(getattr(original, "__func__", original), Wrapper):
        return None
    if isinstance(owner, type) and not hasattr(type(original), "__get__"):
        guard.notes.append(f"{module.__name__}:{qualname} is no method in this version")
        return None
    replacement = wrap(original, target, scope)
    wrapper = getattr(replacement, "__func__", replacement)
    _assign(owner, name, replacement)
    return Change(owner, name, original, inherited, replacement, wrapper)


class Engine:
    """All hooks of one process: a finder on sys.meta_path that finds nothing itself but sees what is imported."""

    def __init__(self, hooks: Iterable[Hook], disabled: Sequence[str] = ()) -> None:
        self.by_module: dict[str, list[Hook]] = {}
        self.changes: list[Change] = []
        self.applied: dict[str, list[str]] = {}  # hook name -> modules it was applied to
        self.searching: set[str] = set()
        if "*" in disabled:
            return
        for hook in hooks:
            if hook.name not in disabled:
                for module in hook.modules:
                    self.by_module.setdefault(module, []).append(hook)

    def install(self) -> None:
        """Watches imports from now on, and wraps what has been imported before."""
        sys.meta_path.insert(0, self)
        for name in list(self.by_module):
            if name in sys.modules:
                self.imported(name)

    def undo(self) -> None:
        """Everything is as the libraries made it."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for change in reversed(self.changes):
            try:
                change.undo()
            except Exception as error:
                guard.report(f"undo {change.name}", error)
        for known in list(_kept):
            wrapper = known()
            if wrapper is not None:
                wrapper.pillion_disabled = True
        self.changes.clear()
        self.applied.clear()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Importlib's question. The answer is the other finders'; for a watched module its loader tells us when."""
        if fullname not in self.by_module or fullname in self.searching:
            return None
        self.searching.add(fullname)
        try:
            for finder in sys.meta_path:
                find = getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = find(fullname, path, target) if find and finder is not self else None
                if spec is not None:
                    self.watch(fullname, spec)
                    return spec
        finally:
            self.searching.discard(fullname)
        return None

    def watch(self, name: str, spec: ModuleSpec) -> None:
        """Has the loader call us after it executed the module. The loader stays the same object, of the same type."""
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            if module.__name__ != name:  # a loader that serves several modules
                execute(module)
                return
            vars(loader).pop("exec_module", None)
            execute(module)
            self.imported(name)

        # importlib leaves its own frames out of the traceback of a failing import: with this name ours goes with them.
        exec_module.__code__ = exec_module.__code__.replace(co_filename="<frozen importlib._bootstrap>")
        try:
            loader.exec_module = exec_module  # type: ignore[union-attr, method-assign]
        except Exception as error:
            guard.report(f"watch {name}", error)

    def imported(self, name: str) -> None:
        """Applies the hooks of a module that is complete now. What could not be hooked goes into the record."""
        known = len(guard.notes)
        for hook in self.by_module.get(name, ()):
            try:
                self.apply(hook, name)
            except Exception as error:
                guard.report(f"hook {hook.name}", error)
                guard.notes.append(f"hook {hook.name} is off: {type(error).__name__}: {error}")
        if len(guard.notes) > known:
            from pillion import start

            start.tell_notes()

    def apply(self, hook: Hook, name: str) -> None:
        """Loads the hook's file and wraps those of its targets that lie in this module."""
        targets: dict[str, Target] = hook.load().TARGETS
        done = []
        for address, target in targets.items():
            module, _, qualname = address.partition(":")
            if module != name:
                continue
            try:
                change = apply(sys.modules[name], qualname, target, f"pillion.{hook.name}")
            except Exception as error:
                guard.report(address, error)
                continue
            if change is not None:
                self.changes.append(change)
                done.append(qualname)
        if done:
            self.applied.setdefault(hook.name, []).append(name)
