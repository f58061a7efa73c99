# SPDX-License-Identifier: Apache-2.0
"""threading in all its forms, with what a program can see of its threads: names, frames, tracebacks, events."""

from __future__ import annotations

import queue
import sys
import threading
import traceback

from census import census
from opentelemetry import trace

tracer = trace.get_tracer("threads")
print_lock = threading.Lock()


def audit(event: str, args: tuple[object, ...]) -> None:
    if event == "_thread.start_new_thread":
        function = args[0]
        print(event, function.__qualname__, type(function.__self__).__name__)


def work(name: str, fails: bool = False) -> None:
    with tracer.start_as_current_span(f"work {name}"):
        print(name, [frame.name for frame in traceback.extract_stack()])
        if fails:
            raise ValueError(name)


class Subclass(threading.Thread):
    def run(self) -> None:
        work("subclass")


def joined(thread: threading.Thread) -> None:
    thread.start()
    thread.join()
    print(thread.name, thread.daemon, sorted(vars(thread)))


def serve(jobs: queue.Queue[str | None]) -> None:
    while (job := jobs.get()) is not None:
        with tracer.start_as_current_span(f"job {job}"):
            pass


def hooked(args: threading.ExceptHookArgs) -> None:
    frames = [frame.name for frame in traceback.extract_tb(args.exc_traceback)]
    print("excepthook", args.exc_type.__name__, args.exc_value, frames)


sys.addaudithook(audit)
jobs: queue.Queue[str | None] = queue.Queue()
server = threading.Thread(target=serve, args=(jobs,))
server.start()
with tracer.start_as_current_span("main"):
    joined(threading.Thread(target=work, args=("target",), name="mine", daemon=True))
    joined(Subclass())
    joined(threading.Timer(0.01, work, ("timer",)))
    with tracer.start_as_current_span("inner"):
        joined(threading.Thread(target=joined, args=(threading.Thread(target=work, args=("nested",)),)))
    jobs.put("from main")
    threading.excepthook, standard = hooked, threading.excepthook
    joined(threading.Thread(target=work, args=("failing", True)))
    threading.excepthook = standard
    seen: list[str] = []
    threading.setprofile(lambda frame, event, arg: seen.append(f"{event} {frame.f_code.co_name}"))
    joined(threading.Thread(target=work, args=("profiled",)))
    threading.setprofile(None)
    print([event for event in seen if "start_span" not in event][:8])
joined(threading.Thread(target=work, args=("outside",)))
jobs.put("from outside")
jobs.put(None)
server.join()
with tracer.start_as_current_span("ended first") as span:
    joined(threading.Thread(target=lambda: 1 / 0, name="printed"))
    go = threading.Event()
    slow = threading.Thread(target=lambda: (go.wait(), work("slow")))
    slow.start()
go.set()
slow.join()
try:
    slow.start()
except RuntimeError as error:
    print(error, [frame.name for frame in traceback.extract_tb(error.__traceback__)])
census("at the end")
