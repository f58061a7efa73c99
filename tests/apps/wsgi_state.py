# SPDX-License-Identifier: Apache-2.0
"""wsgi_state: answers each request with what a start by someone else could have changed, and asks a database."""

import os
import sqlite3
import sys


def application(environ, start_response):
    sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
    own = sys.modules.get("sitecustomize")
    told = [sys.path, sys.builtin_module_names, sys.flags, getattr(own, "__file__", None)]
    told += [sorted(set(os.environ.items()) - {("LD_PRELOAD", os.environ.get("LD_PRELOAD"))}), sys.argv]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(told).encode()]
