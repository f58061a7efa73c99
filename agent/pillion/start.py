# SPDX-License-Identifier: Apache-2.0
"""start: the composition of the code module. Reads the settings, decides, starts the native side and the hooks.

`boot` is called once by boot/sitecustomize.py, before any line of the application. It imports little, prints nothing
and leaves a record of what was decided, with the reason, in the run directory.
"""

from __future__ import annotations

import os
import sys
import time

from pillion import config, guard, rundir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pillion.patch import Engine

VERSION = "0.1.0"
NEWEST = (3, 15)  # of CPython
SECOND = ("already started", "main interpreter", "subinterpreters")  # native's words in another interpreter's start

engine: Engine | None = None
service = ""
_record: dict[str, object] = {}
_run_dir = ""


def boot(via: str = "path", root: str = "") -> None:
    """Decides and starts. What goes wrong here leaves the process as if pillion weren't there.

    via: the road that led here, "preload" (libpillion.so) or "path" (PYTHONPATH); root: the folder that holds pillion/.
    """
    global _run_dir
    if _record:
        return  # by both roads, or by two libraries: the first one counts
    _record.update(via=via, root=root or os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    settings, problems = config.read(os.environ)
    guard.open_log(settings.log)
    for problem in problems:
        guard.log(problem)
    guard.notes.extend(problems)
    code, reason = _why_not(settings)
    _run_dir = rundir.choose(settings.run_dir)
    if code == "DISABLED" and not os.path.isdir(_run_dir):
        return
    try:
        rundir.make(_run_dir)
    except OSError as error:
        guard.log(f"PILLION_RUN_DIR {_run_dir}: {error.strerror}; nothing can be found by the collector")
    if not code:
        try:
            code, reason = _start(settings)
        except Exception as error:
            if any(text in str(error) for text in SECOND):
                return  # the record is the first one's
            guard.report("start", error)
            code = "NO_MODULE" if isinstance(error, ImportError) else "START_FAILED"
            reason = f"{type(error).__name__}: {error}"
    _decided(code or "INJECTED", reason)


def _why_not(settings: config.Config) -> tuple[str, str]:
    """Code (reasons.py) and evidence to stand aside, or two empty texts."""
    version = ".".join(map(str, sys.version_info[:2]))
    if not settings.enabled:
        return "DISABLED", f"PILLION_ENABLED={os.environ.get('PILLION_ENABLED', '')}"
    if settings.disabled:
        return "SDK_DISABLED", "OTEL_SDK_DISABLED=true"
    if sys.implementation.name != "cpython":
        return "IMPLEMENTATION", f"{sys.implementation.name}: CPython alone is supported"
    if sys.version_info[:2] > NEWEST:
        return "VERSION", f"CPython {version} is newer than this pillion knows"
    enabled = getattr(sys, "_is_gil_enabled", None)
    if enabled is not None and not enabled():
        return "FREE_THREADED", f"a free-threaded build of CPython {version}"
    return "", ""


def _ruled() -> tuple[str, str]:
    """Code and reason of the rule that denies this process. libpillion.so has asked before it led here."""
    from pillion import _native

    if _record["via"] == "preload":
        return "", ""
    with open("/proc/self/cmdline", "rb") as file:
        argv = file.read(131072).split(b"\0")[:-1]
    environ = [name + b"=" + value for name, value in os.environb.items()]
    exe = os.fsencode(os.readlink("/proc/self/exe"))
    deny, code, reason, notes = _native.rules(exe, argv, environ, os.getuid(), os.fsencode(str(_record["root"])))
    guard.notes.extend(notes.splitlines())
    return (code, reason) if deny else ("", "")


def _decided(code: str, reason: str) -> None:
    """Writes the record. A code that isn't INJECTED says why not."""
    _record.update(decision="injected" if code == "INJECTED" else "not", code=code, reason=reason)
    _record.update(service=service, pillion=VERSION, time_ns=time.time_ns())
    _record["python"] = ".".join(map(str, sys.version_info[:3]))
    _record["notes"] = guard.notes
    _record["pid"] = os.getpid()
    try:
        rundir.record(_run_dir, _record)
    except OSError as error:
        guard.log(f"{_run_dir}: no record of this process: {error.strerror}")


def _start(settings: config.Config) -> tuple[str, str]:
    global engine, service
    import atexit

    _find_native(str(_record["root"]))
    _check_native()
    from pillion import _native, resource

    code, reason = _ruled()
    if code:
        return code, reason
    attributes = resource.attributes(VERSION, settings.service, settings.resource_attributes, resource.System())
    service = str(attributes["service.name"])
    _record["instance"] = attributes["service.instance.id"]
    _start_native(settings, attributes)
    _native.set_report(guard.report)
    atexit.register(_native.stop, settings.exit_timeout_ns / 1e9)
    atexit.register(guard.tell_rest)
    if _record["via"] == "preload":
        from pillion import probation

        probation.watch(_run_dir)
    if settings.metrics:
        from pillion import runtime_metrics

        runtime_metrics.install()
    if settings.traces:
        engine = _hook(settings)
    return "", ""


def _start_native(settings: config.Config, attributes: dict[str, str | int]) -> None:
    from pillion import _native

    socket = "unix:" + os.path.join(_run_dir, rundir.SOCKET)
    target = settings.target or socket
    _native.start(
        resource=attributes,
        instance_id=_instance_bytes(str(attributes["service.instance.id"])),
        instance_is_ours="service.instance.id" not in settings.resource_attributes,
        version=VERSION,
        target=target,
        headers=settings.headers,
        ring_directory=os.path.join(_run_dir, "rings"),
        ring_left=target == socket,  # that collector reads what lies in the rings beside its socket
        ring_bytes=settings.ring_bytes,
        rings_bytes=settings.rings_bytes,
        interval_ns=settings.interval_ns,
        timeout_ns=settings.timeout_ns,
        metrics_interval_ns=settings.metrics_interval_ns if settings.metrics else 0,
        traces=settings.traces,
        sampler=settings.sampler,
        ratio=settings.ratio,
        limits=settings.limits,
        propagate_trace=settings.propagate_trace,
        propagate_baggage=settings.propagate_baggage,
        capture_query=settings.capture_query,
    )


def _find_native(root: str) -> None:
    """In a bundle the native module lies in ARCH/cpXY, for each Python one: the package then reaches into there."""
    import pillion

    folder = os.path.join(root, os.uname().machine, "cp{}{}".format(*sys.version_info[:2]))
    if os.path.isdir(folder) and folder not in pillion.__path__:
        pillion.__path__.append(folder)


def _check_native() -> None:
    """Raises ImportError for a library that is cut off, say half installed: loading it would end the process (SIGBUS).

    An ELF file ends with the table of its sections, and its header tells where that ends."""
    import _imp

    import pillion

    for path in [f"{folder}/_native{suffix}" for folder in pillion.__path__ for suffix in _imp.extension_suffixes()]:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            header, size = os.read(descriptor, 64), os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        table, width, rows = (int.from_bytes(header[a:b], "little") for a, b in ((40, 48), (58, 60), (60, 62)))
        if header[4:6] == b"\2\1" and table + width * rows > size:  # 64 bits, little endian
            raise ImportError(f"{os.path.basename(path)} is not whole")
        return


def _hook(settings: config.Config) -> Engine:
    from pillion import _native, hooks, patch

    if settings.excluded_urls or settings.capture_query:
        from pillion import asgi, http, wsgi

        _native.set_requests(
            http.request_filter(("flask", "django", "wsgi"), wsgi.url_of),
            http.request_filter(("fastapi", "starlette", "django", "asgi"), asgi.url_of),
            http.redact_query if settings.capture_query else None,
        )
    made = patch.Engine(hooks.HOOKS, settings.disabled_hooks)
    made.install()
    return made


def _instance_bytes(instance: str) -> bytes:
    """The 16 bytes of a UUID; of any other text its first 16 bytes, for the ring's header alone."""
    digits = instance.replace("-", "")
    if len(digits) == 32 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return bytes.fromhex(digits)
    return instance.encode("utf-8", "replace")[:16].ljust(16, b"\0")


def tell_notes() -> None:
    """Writes the record again: there is more to tell than when it was decided. Not for a parent's."""
    if _record.get("pid") == os.getpid():
        _decided(str(_record["code"]), str(_record["reason"]))


def stand_down(reason: str) -> None:
    """Takes all hooks off: somebody else traces this process. Process metrics go on. Told in log and record."""
    if engine is not None:
        engine.undo()
    guard.notes.append(reason)
    guard.log(reason)
    _decided("OTHER_SDK", reason)
