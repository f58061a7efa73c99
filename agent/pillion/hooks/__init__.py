# SPDX-License-Identifier: Apache-2.0
"""hooks: the one table of what is hooked. One library, one file; a name is written here and nowhere else.

`name` is what OTEL_PYTHON_DISABLED_INSTRUMENTATIONS calls it and the end of its scope `pillion.<name>`; `modules` are
the modules that its targets lie in: when one of them is imported, `pillion.hooks.<file>` is loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Hook:
    """One row."""

    __slots__ = ("file", "modules", "name")

    def __init__(self, name: str, modules: tuple[str, ...], file: str) -> None:
        self.name = name
        self.modules = modules
        self.file = file

    def load(self) -> Any:
        """The hook's file, imported now: TARGETS and the functions they name."""
        import importlib

        return importlib.import_module("pillion.hooks." + self.file)

    def __repr__(self) -> str:
        return f"Hook({self.name!r}, {self.modules!r}, {self.file!r})"


HOOKS: tuple[Hook, ...] = (
    Hook("flask", ("flask.app",), "flask"),
    Hook(
        "django",
        ("django.core.handlers.wsgi", "django.core.handlers.base", "django.core.handlers.exception"),
        "django",
    ),
    Hook("wsgi", ("wsgiref.simple_server", "gunicorn.app.base", "werkzeug.serving"), "wsgi"),
    Hook("asgi", ("uvicorn.config",), "asgi"),
    Hook("starlette", ("starlette.routing", "fastapi.routing"), "starlette"),
    Hook("urllib3", ("urllib3.connectionpool",), "urllib3"),
    Hook("http_client", ("http.client",), "http_client"),
    Hook(
        "httpx",
        ("httpx._transports.default", "httpcore._sync.connection_pool", "httpcore._async.connection_pool"),
        "httpx",
    ),
    Hook("sqlite3", ("sqlite3",), "sqlite3"),
    Hook(
        "sqlalchemy",
        (
            "sqlalchemy.engine.default",
            "sqlalchemy.dialects.postgresql.psycopg2",
            "sqlalchemy.dialects.mysql.mysqldb",
            "sqlalchemy.dialects.mssql.pyodbc",
            "sqlalchemy.dialects.oracle.cx_oracle",
        ),
        "sqlalchemy",
    ),
    Hook(
        "psycopg",
        (
            "psycopg.cursor",
            "psycopg.cursor_async",
            "psycopg.server_cursor",
            "psycopg._server_cursor",
            "psycopg._server_cursor_async",
        ),
        "psycopg",
    ),
    Hook("psycopg2", ("psycopg2._psycopg",), "psycopg2"),
    Hook("redis", ("redis.client", "redis.asyncio.client", "kombu.transport.redis"), "redis"),
    Hook("celery", ("celery.app.base", "celery.app.trace", "kombu.messaging"), "celery"),
    Hook("jinja2", ("jinja2.environment",), "jinja2"),
    Hook("logging", ("logging",), "logging"),
    Hook(
        "threading",
        (
            "threading",
            "gevent.thread",
            "concurrent.futures.thread",
            "concurrent.futures.process",
            "multiprocessing.pool",
        ),
        "threading",
    ),
    Hook("opentelemetry", ("opentelemetry.context.contextvars_context", "opentelemetry.trace"), "opentelemetry"),
)
