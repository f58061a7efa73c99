# SPDX-License-Identifier: Apache-2.0
"""The program that the canary runs under somebody's Python: a little of everything that pillion touches.

Its output depends on nothing but the interpreter and its environment. A Python that is too old for this file ends in a
SyntaxError, with the module and without. Usage: canary_probe.py exit|raise|signal VARIABLE: by which the module came.
"""

from __future__ import annotations

import binascii
import os
import signal
import sys
import threading
from typing import Any


def places() -> None:
    """What a program sees of its own start."""
    for key in sorted(os.environ):
        if key != sys.argv[2]:  # a checksum, since a value may be a secret and a difference is shown
            print("environment", ascii(key), binascii.crc32(os.fsencode(os.environ[key])))
    print("path", sys.path)
    print("argv", sys.argv, "flags", sys.flags, "names", sys.builtin_module_names)
    print("handlers", [str(signal.getsignal(number)) for number in range(1, signal.NSIG)])
    print("hooks", sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile())
    print("threads", threading.active_count())


def database() -> None:
    """Rows of SQLite."""
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE canary (n INTEGER)")
    connection.executemany("INSERT INTO canary VALUES (?)", [(1,), (2,), (3,)])
    print("rows", connection.execute("SELECT n FROM canary WHERE n > ?", (1,)).fetchall())
    try:
        connection.execute("SELECT nothing FROM nowhere")
    except sqlite3.Error as error:
        print("error", type(error).__name__, error)
    connection.close()


def web() -> None:
    """One request over the loopback, server and client."""
    import urllib.request
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]

    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open("http://127.0.0.1:" + str(server.server_port) + "/canary", timeout=20) as answer:
        print("answer", answer.status, answer.read())
    thread.join()
    server.server_close()


def tasks() -> None:
    """A pool of threads and coroutines."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    async def main() -> Any:
        return await asyncio.gather(double(1), double(2))

    with ThreadPoolExecutor(2) as pool:
        print("pool", list(pool.map(len, ["a", "bb"])))
    print("coroutines", asyncio.run(main()))


def manners() -> None:
    """Logging, warnings, seeded random numbers."""
    import logging
    import random
    import warnings

    logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("canary").warning("a line of the log")
    try:
        warnings.warn("a warning", stacklevel=1)
    except UserWarning as error:
        print("warning raised", error)
    random.seed(1)
    print("random", random.random())


def children() -> None:
    """A child of its own, and a copy of itself, which ends in order."""
    import subprocess

    code = "import sys; print('child', sys.argv, sys.flags)"
    print(subprocess.check_output([sys.executable, "-c", code, "x"]).decode().strip())
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        database()
        sys.exit(0)
    print("fork ended", os.waitpid(pid, 0)[1])


def main() -> None:
    if sys.argv[1] == "raise":
        raise RuntimeError("nobody catches this")
    if sys.argv[1] == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    for part in (places, database, web, tasks, manners, children):
        try:
            part()
        except ImportError as error:  # of an interpreter that was built without it
            print(part.__name__, "is left out:", error)
    sys.exit(7)


if __name__ == "__main__":
    main()
