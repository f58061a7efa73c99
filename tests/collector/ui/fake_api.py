# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the collector's JSON API, for states that are hard to bring about for real.

Answers from generated data, the same for the same seed: a shop of six services, traces of any size (the id's last
six digits are the number of spans), processes that were refused or died. It tests the page, never the collector.
Run it by hand to look at the page: python -m tests.collector.ui.fake_api --port 8000
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.collector.ui import fake_data

UI = Path(__file__).parents[3] / "agent" / "pillion_collector" / "ui"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Handler(BaseHTTPRequestHandler):
    """One request: a file of the page, an answer from generated data, or the live stream."""

    server: FakeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path == "/api/live":
            self.live()
        elif url.path.startswith("/api/"):
            self.json(self.server.answer(url.path.removeprefix("/api/"), query))
        else:
            self.file("index.html" if url.path == "/" else url.path[1:])

    def json(self, document: object) -> None:
        body = json.dumps({"error": "not found"} if document is None else document).encode()
        self.reply(404 if document is None else 200, "application/json", body)

    def file(self, name: str) -> None:
        path = UI / name
        if path.is_file() and path.resolve().is_relative_to(UI):
            self.reply(200, TYPES[path.suffix], path.read_bytes())
        else:
            self.reply(404, "text/plain", b"not found")

    def reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()
        self.wfile.write(body)

    def live(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while not self.server.changed.wait(1):
                pass
            self.server.changed.clear()
            self.wfile.write(
                b'event: change\ndata: {"spans":1,"newest_ns":"0","services":6,"processes":9,"points":1}\n\n'
            )
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        return


class FakeApi(ThreadingHTTPServer):
    """The server and its one knob: `empty` answers as a collector that has received nothing."""

    daemon_threads = True

    def __init__(self, port: int = 0, empty: bool = False) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.empty = empty
        self.changed = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str, query: dict[str, str]) -> object:
        now = time.time_ns()
        parts = path.split("/")
        if parts[0] == "traces" and len(parts) == 2:
            return fake_data.trace(parts[1], now)
        if parts[0] == "processes" and len(parts) == 3:
            return fake_data.metrics(parts[1], now)
        make = {
            "services": fake_data.services,
            "traces": fake_data.traces,
            "operations": fake_data.operations,
            "processes": fake_data.processes,
            "stats": fake_data.stats,
            "crashes": fake_data.crashes,
            "why": fake_data.why,
        }.get(path)
        return make(now, query, self.empty) if make else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--empty", action="store_true")
    arguments = parser.parse_args()
    with FakeApi(arguments.port, arguments.empty) as server:
        print(server.url, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
