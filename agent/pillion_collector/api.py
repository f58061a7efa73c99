# SPDX-License-Identifier: Apache-2.0
"""The HTTP side: JSON API, live events, Prometheus text, health, and the UI's files.

Runs on the event loop; every question to the store runs on a small pool of threads, four at a time, so that a slow
search never delays what is received. No CORS, a strict content security policy, and only known Host names, so that a
web page elsewhere can neither read nor reach what is stored here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pillion_collector import (
    prometheus,
    query_crashes,
    query_metrics,
    query_params,
    query_processes,
    query_services,
    query_stats,
    query_trace,
    query_traces,
)
from pillion_collector.adopt import Adopter
from pillion_collector.api_guard import Guard, hosts_of
from pillion_collector.live import Live
from pillion_collector.processes import Processes
from pillion_collector.query_params import BadParameter
from pillion_collector.receive import Receiver
from pillion_collector.store import Store, StoreError
from pillion_collector.why import Why

_log = logging.getLogger("pillion.api")
UI = Path(__file__).parent / "ui"
QUERIES = 4
GZIP_BYTES = 64 << 10
_TIMES = ("from", "to")


@dataclass
class Collector:
    """The running parts, as the API sees them."""

    store: Store
    run_dir: Path
    started_ns: int
    live: Live = field(init=False)
    why: Why = field(init=False)
    receiver: Receiver = field(init=False)
    processes: Processes = field(init=False)
    adopter: Adopter = field(init=False)
    queries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUERIES))

    def __post_init__(self) -> None:
        self.live = Live(lambda: self.ask(query_stats.live, self))
        self.why = Why(self.run_dir)

    async def ask(self, question: Callable[..., Any], *args: Any) -> Any:
        """Runs a question to the store off the loop."""
        async with self.queries:
            return await asyncio.to_thread(question, *args)


def application(collector: Collector, host: str) -> Starlette:
    """`host`: the name or address the server was told to listen on."""
    table: dict[str, Callable[[Collector, Request], Any]] = {
        "/api/services": _services,
        "/api/operations": _operations,
        "/api/traces": _traces,
        "/api/traces/{id}": _trace,
        "/api/processes": _processes,
        "/api/processes/{id}/metrics": _process_metrics,
        "/api/crashes": _crashes,
        "/api/why": _why,
        "/api/stats": _stats,
        "/api/live": _live,
        "/healthz": _health,
        "/readyz": _health,
        "/metrics": _prometheus,
    }
    routes: list[Any] = [Route(path, _endpoint(collector, answer)) for path, answer in table.items()]
    routes.append(Route("/api/{rest:path}", _endpoint(collector, _unknown)))
    routes.append(Mount("/", StaticFiles(directory=UI, html=True, check_dir=False)))
    guards = [
        Middleware(Guard, hosts=hosts_of(host)),
        Middleware(GZipMiddleware, minimum_size=GZIP_BYTES, compresslevel=1),
    ]
    return Starlette(routes=routes, middleware=guards)


def _endpoint(collector: Collector, answer: Callable[[Collector, Request], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            found = await answer(collector, request)
        except BadParameter as error:
            return _json({"error": str(error), "parameter": error.parameter}, 400)
        except StoreError as error:
            return _json({"error": str(error), "reason": error.kind}, 503)
        except Exception as error:  # a bug of ours: told, never silent, and not the end
            _log.exception("%s", request.url.path)
            return _json({"error": f"internal error: {type(error).__name__}"}, 500)
        return found if isinstance(found, Response) else _json(found)

    return endpoint


def _json(value: Any, status: int = 200) -> Response:
    body = value if isinstance(value, bytes) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, media_type="application/json", headers={"Cache-Control": "no-store"})


def _encoded(question: Callable[..., Any], *args: Any) -> bytes | None:
    """A question whose answer may be large: made into JSON on the same thread."""
    found = question(*args)
    return None if found is None else orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS)


def _window(request: Request, *more: str) -> query_params.Window:
    query_params.check_names(request.query_params, (*_TIMES, *more))
    return query_params.window(request.query_params, time.time_ns())


async def _services(collector: Collector, request: Request) -> Any:
    return await collector.ask(query_services.services, collector.store, _window(request))


async def _operations(collector: Collector, request: Request) -> Any:
    window = _window(request, "service")
    return await collector.ask(
        query_services.operations, collector.store, window, query_params.text(request.query_params, "service")
    )


async def _traces(collector: Collector, request: Request) -> Any:
    known = ("service", "operation", "status", "min_ns", "max_ns", "attribute", "q", "limit", "order")
    query_params.check_names(request.query_params, (*_TIMES, *known))
    search = query_params.search(request.query_params, request.query_params.getlist("attribute"), time.time_ns())
    return await collector.ask(_encoded, query_traces.traces, collector.store, search)


async def _trace(collector: Collector, request: Request) -> Any:
    query_params.check_names(request.query_params, ())
    trace_id = await collector.ask(query_trace.resolve, collector.store, request.path_params["id"])
    found = None if trace_id is None else await collector.ask(_encoded, query_trace.trace, collector.store, trace_id)
    return _json({"error": "no such trace is stored", "parameter": "id"}, 404) if found is None else found


async def _processes(collector: Collector, request: Request) -> Any:
    return await collector.ask(
        query_processes.processes, collector.store, collector.processes.known(), _window(request)
    )


async def _process_metrics(collector: Collector, request: Request) -> Any:
    window = _window(request, "names")
    process = collector.processes.get(request.path_params["id"])
    if process is None:
        return _json({"error": "no such process is known", "parameter": "id"}, 404)
    names = query_params.text(request.query_params, "names")
    return await collector.ask(
        _encoded, query_processes.metrics, collector.store, process, names.split(",") if names else None, window
    )


async def _crashes(collector: Collector, request: Request) -> Any:
    window = _window(request, "service", "limit")
    service = query_params.text(request.query_params, "service")
    limit = query_params.whole(request.query_params, "limit", 1, 1000) or 50
    return await collector.ask(_encoded, query_crashes.crashes, collector.store, window, service, limit)


async def _why(collector: Collector, request: Request) -> Any:
    query_params.check_names(request.query_params, ("pid",))
    pid = query_params.whole(request.query_params, "pid", 1, 2**31)
    found = await collector.ask(collector.why.answer)
    return found if pid is None else {**found, "processes": [row for row in found["processes"] if row["pid"] == pid]}


async def _stats(collector: Collector, request: Request) -> Any:
    query_params.check_names(request.query_params, ())
    return await collector.ask(query_stats.stats, collector)


async def _live(collector: Collector, request: Request) -> Response:
    if collector.live.full:
        return _json({"error": "too many live listeners", "reason": "listeners"}, 503)
    return StreamingResponse(
        collector.live.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _health(collector: Collector, request: Request) -> Response:
    trouble = collector.store.stats().get("trouble")
    if trouble:
        return _json({"status": "trouble", "reason": str(trouble)}, 503)
    return _json({"status": "ok"})


async def _prometheus(collector: Collector, request: Request) -> Response:
    families = await collector.ask(query_metrics.families, collector)
    return Response(prometheus.exposition(families), media_type=prometheus.CONTENT_TYPE)


async def _unknown(collector: Collector, request: Request) -> Response:
    return _json({"error": f"no such page: {request.url.path}"}, 404)
