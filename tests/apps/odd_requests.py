# SPDX-License-Identifier: Apache-2.0
"""Requests that nobody should send, to a Flask application that looks at its host and builds URLs from it.

`odd_requests.py werkzeug|wsgiref` serves them itself and prints each answer; `app` is for other servers.
"""

import io
import logging
import re
import socket
import sys
import threading

import flask

# One each, between bars or line ends; as latin-1 they are the bytes sent.
HOSTS = """|  |:|::::|a:b|a:99999999999|[::1|[::1]:80|]|\xff\xfe|a b|a/b?c#d|user:secret@host|\xd7\x90.example|a,b|..
%00|example.org:80:80|LOCALHOST|localhost.|127.0.0.1:0|\x01"""
PATHS = """/|//|/%|/%zz|/%00|/a?b=%ff&&=&c|*|http://other/x|http://[::1/x|http://:0/|/../..|/;x|relative|/x#y
/\xff\xfe|/\xe2\x82\xac|/a b"""
HEADERS = """traceparent: 00-zz|traceparent: \xff|tracestate: =,=,==|baggage: \xff=\xff|X-Forwarded-Host: [::
X-Forwarded-For: ,,,|Forwarded: for=;host=[;proto|X-Forwarded-Port: x|User-Agent: \xff\x01|Content-Length: x
Content-Length: -5|NoColon|: empty|Content-Type: \xff|Host: two|Cookie: \xff=;;="""
LONG_PATHS = ["", "/?" + "q" * 5000, "/" + "%41" * 2000]
LONG_HEADERS = ["X: 1\r\n folded", "traceparent: " + "0" * 9000, "Accept: " + "a," * 3000, "Host: " + "x" * 9000]
METHODS = ["get", "G\xffT", "ODD", "OPTIONS", "HEAD", "TRACE", "x" * 300]

app = flask.Flask("odd")
app.config["TRUSTED_HOSTS"] = ["localhost", "example.org", "127.0.0.1"]


@app.route("/", methods=["GET", "ODD", "HEAD"], defaults={"name": ""})
@app.route("/<path:name>")
def page(name):
    request = flask.request
    absolute = flask.url_for("page", _external=True)
    return [name, request.host, request.url, dict(request.args), request.remote_addr, absolute]


def split(text):
    return text.replace("\n", "|").split("|")


def requests():
    """All of them, as bytes."""
    lines = [("GET / HTTP/1.1", "Host: " + host) for host in split(HOSTS)]
    lines += [(f"GET {path} HTTP/1.1", "Host: localhost") for path in split(PATHS) + LONG_PATHS]
    lines += [("GET / HTTP/1.1", "Host: localhost\r\n" + header) for header in split(HEADERS) + LONG_HEADERS]
    lines += [(method + " / HTTP/1.1", "Host: localhost") for method in METHODS]
    lines += [("GET / HTTP/1.1", "X: no host"), ("GET / HTTP/1.0", "X: y"), ("\x16\x03\x01 tls", "")]
    return ["\r\n".join((*both, "Connection: close", "", "")).encode("latin-1") for both in lines]


def ask(port, raw):
    """What came back to the end, without its time and the server's port."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(raw)
        link.shutdown(socket.SHUT_WR)
        answer = b""
        while part := link.recv(65536):
            answer += part
    return re.sub(rb"(?mi)^Date:.*?\r\n", b"", answer).replace(str(port).encode(), b"PORT")


def served_by(name):
    if name == "werkzeug":
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    else:
        from wsgiref.simple_server import WSGIRequestHandler, make_server

        WSGIRequestHandler.log_message = lambda *ignored: None
    return make_server("127.0.0.1", 0, app)


if __name__ == "__main__":
    server = served_by(sys.argv[1])
    kept, sys.stderr = sys.stderr, io.StringIO()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for raw in requests():
        print(raw[:60], ask(server.server_port, raw))
    server.shutdown()
    print(sorted(set(re.findall(r"(?m)^\w+Error.*", sys.stderr.getvalue()))))
    sys.stderr = kept
