# SPDX-License-Identifier: Apache-2.0
"""A Flask application and what its clients see, over a socket: routes, errors, streams, mounts, and no route at all.

Served by the server that the first argument names; the second is one path, or several.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import wsgiref.simple_server

import flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

logging.getLogger("werkzeug").disabled = True
closed = []


class Shop(flask.Flask):
    def full_dispatch_request(self, *args):
        return super().full_dispatch_request(*args)


app = Shop(__name__)
app.logger.disabled = True
parts = flask.Blueprint("parts", __name__, url_prefix="/parts")


@app.route("/items/<int:item>", methods=["GET", "POST"])
def item(item):
    return f"item {item}"


@parts.route("/<name>")
def part(name):
    return flask.render_template_string("part {{ name }}", name=name)


@app.route("/crash")
def crash():
    raise ZeroDivisionError("of the application")


@app.route("/teapot")
def teapot():
    flask.abort(418)


@app.route("/refused")
def refused():
    return "no", 503


@app.errorhandler(KeyError)
def handled(error):
    return "handled", 400


@app.route("/handled")
def raises():
    raise KeyError("known")


@app.route("/stream")
def stream():
    def pieces():
        try:
            for number in range(3):
                yield f"piece {number} {flask.request.path}\n"
        finally:
            closed.append("stream")

    return flask.Response(flask.stream_with_context(pieces()))


@app.route("/broken-stream")
def broken_stream():
    def pieces():
        yield "one"
        raise RuntimeError("in the middle")

    return flask.Response(pieces())


app.register_blueprint(parts)


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass

    def get_stderr(self):
        return open("/dev/null", "w")


def serve(kind, application):
    if kind == "wsgiref":
        server = wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=QuietHandler)
    else:
        server = make_server("127.0.0.1", 0, application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def ask(port, line):
    with socket.create_connection(("127.0.0.1", port)) as client:
        method, path = line.split("~") if "~" in line else ("GET", line)
        head = f"{method} {path} HTTP/1.0\r\nHost: shop.example:8080\r\nUser-Agent: test\r\nContent-Length: 0\r\n"
        client.sendall(f"{head}traceparent: 00-{'a' * 32}-{'b' * 16}-01\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    headers = [line for line in head.split("\r\n")[1:] if not line.startswith(("Date", "Server"))]
    print(head.split("\r\n")[0], sorted(headers), repr(body))


application = app
if sys.argv[1] == "mounted":
    application = DispatcherMiddleware(flask.Flask("root"), {"/shop": app})
server = serve(sys.argv[1], application)
for line in sys.argv[2:]:
    ask(server.server_port, line)
server.shutdown()
print(closed, type(app.wsgi_app).__name__, app.wsgi_app.__name__)
