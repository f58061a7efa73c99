# SPDX-License-Identifier: Apache-2.0
"""Every hook with every function broken: the program's output, errors and exit code are the same, and it's counted."""

from __future__ import annotations

import os

import pytest

PROGRAMS = [
    (
        "flask_shop.py",
        "werkzeug",
        "/items/5",
        "/parts/bolt",
        "/crash",
        "/teapot",
        "/handled",
        "/stream",
        "/broken-stream",
    ),
    ("flask_shop.py", "wsgiref", "/items/5", "/crash"),
    ("django_shop.py", "uvicorn", "/items/5/", "/crash/"),
    ("celery_shop.py", "eager"),
    ("asgi_shop.py", "fastapi", "/items/5", "/crash", "/stream"),
    ("http_calls.py", "requests", "/dev/null"),
    ("http_calls.py", "urllib3", "/dev/null"),
    ("http_calls.py", "urllib", "/dev/null"),
    ("http_calls.py", "http_client", "/dev/null"),
    ("http_calls.py", "httpx", "/dev/null"),
    ("http_calls.py", "httpx_async", "/dev/null"),
    ("jinja_pages.py",),
    ("logging_lines.py", "/dev/null"),
    ("sqlalchemy_orders.py",),
    ("sqlite_notes.py",),
]


@pytest.mark.parametrize("fault", ["raise", "nonsense", "slow"])
@pytest.mark.parametrize("program", PROGRAMS, ids=[" ".join(program[:2]) for program in PROGRAMS])
def test_application_cannot_tell_that_every_hook_is_broken(receiver, program, fault):
    environment = receiver.environment(FAULT=fault)
    path = environment["PYTHONPATH"].replace("/patient", "/faulty") + os.pathsep
    run = receiver.run(*program, FAULT=fault, PYTHONPATH=path)
    bare = receiver.bare(*program)
    assert (run.code, run.out, run.err) == (bare.code, bare.out, bare.err)
    if fault == "raise":
        assert "of a hook" in run.log
