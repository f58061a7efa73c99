# SPDX-License-Identifier: Apache-2.0
"""An ASGI application under uvicorn, and what its clients see over a socket.

Paths are PATH or METHOD~path. An application sets `settled` when what goes on after a response, or after its client
has left, is over.
"""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn

settled = threading.Event()


def serve(application):
    config = uvicorn.Config(application, host="127.0.0.1", port=0, log_config=None, ws="wsproto", interface="asgi3")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        threading.Event().wait(0.01)
    return server, thread


def ask(port, line):
    method, path = line.split("~") if "~" in line else ("GET", line)
    with socket.create_connection(("127.0.0.1", port)) as client:
        more = "Connection: close\r\n"
        if path == "/socket":
            more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            more += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        head = f"{method} {path} HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: test\r\nContent-Length: 0\r\n"
        client.sendall(f"{head}traceparent: 00-{'a' * 32}-{'b' * 16}-01\r\n{more}\r\n".encode())
        if path == "/left":
            print(client.recv(15))
        elif path == "/socket":
            answer = b""
            while b"\x88" not in answer:  # the frame that closes it
                answer += client.recv(65536)
            print(answer[:12])
        else:
            answer = b"".join(iter(lambda: client.recv(65536), b"")).decode("latin-1")
            print([text for text in answer.split("\r\n") if not text.lower().startswith(("date", "sec-"))])
    if path in ("/left", "/later"):
        assert settled.wait(60)


def show(application, lines):
    """Serves it as long as it takes to ask for everything."""
    logging.basicConfig(level=logging.ERROR, format="%(name)s %(message)s")
    server, thread = serve(application)
    port = server.servers[0].sockets[0].getsockname()[1]
    for line in lines:
        ask(port, line)
    server.should_exit = True
    thread.join()
