# SPDX-License-Identifier: Apache-2.0
"""Collectors that take everything and keep nothing, so that no peer is slowed by retries: OTLP/gRPC and ddtrace's HTTP.

Runs as a process of its own (`python -m tests.bench.sinks`): its CPU is nobody's. Prints the two addresses as JSON when
it listens, and tells on GET /seen of the HTTP side who has sent spans: a silent agent would be a cheap one.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

seen = {"pillion": 0, "otel": 0, "ddtrace": 0}  # requests with spans, by who sent them


class Otlp(grpc.GenericRpcHandler):
    """Answers every unary call with an empty message, which is OTLP's full success."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        def take(_request: bytes, context: grpc.ServicerContext) -> bytes:
            agents = [str(value) for key, value in context.invocation_metadata() or () if key == "user-agent"]
            if details.method.endswith("TraceService/Export"):
                seen["pillion" if any("pillion" in agent for agent in agents) else "otel"] += 1
            return b""

        return grpc.unary_unary_rpc_method_handler(take)


class Agent(BaseHTTPRequestHandler):
    """As much of ddtrace's agent as its tracer asks for."""

    protocol_version = "HTTP/1.1"

    def _answer(self, body: dict[str, object]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def do_GET(self) -> None:
        if self.path == "/seen":
            self._answer(dict(seen))
        else:
            self._answer({"version": "7.60.0", "endpoints": ["/v0.4/traces", "/v0.5/traces"], "client_drop_p0s": False})

    def do_PUT(self) -> None:
        """Traces: drained, counted, welcomed."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().strip() or b"0", 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen["ddtrace"] += int(self.headers.get("X-Datadog-Trace-Count", 0)) > 0
        self._answer({"rate_by_service": {}})

    do_POST = do_PUT

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", 64 << 20)])
    server.add_generic_rpc_handlers((Otlp(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    agent = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=agent.serve_forever, daemon=True).start()
    print(json.dumps({"otlp": f"127.0.0.1:{port}", "agent": f"http://127.0.0.1:{agent.server_port}"}), flush=True)
    sys.stdin.read()  # until whoever started it is gone
    server.stop(0)


if __name__ == "__main__":
    main()
