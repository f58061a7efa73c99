# SPDX-License-Identifier: Apache-2.0
"""forward: between agents and a collector, on the run directory's socket; loses what a test wants lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc


class Forward(grpc.GenericRpcHandler):
    """`answered(number)` is called after the collector's answer to each export of spans: True loses that answer."""

    def __init__(self, run_dir: Path, answered: Callable[[int], bool]) -> None:
        self.target = ""  # the collector's address, once it is up
        self.answered = answered
        self.exports = 0
        self.lost = 0
        self._lock = threading.Lock()
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers((self,))
        self.server.add_insecure_port(f"unix:{run_dir}/pillion.sock")
        self.server.start()

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda body, context: self.take(details.method, body, context))

    def take(self, method: str, body: bytes, context: Any) -> bytes:
        named = [(key, value) for key, value in context.invocation_metadata() if key == "pillion-batch"]
        try:
            with grpc.insecure_channel(self.target) as channel:
                call: Any = channel.unary_unary(method)
                answer: bytes = call(body, metadata=named, timeout=20)
        except (grpc.RpcError, ValueError) as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"not forwarded: {error}")
        if "TraceService" in method:
            with self._lock:
                self.exports += 1
                number = self.exports
            if self.answered(number):
                self.lost += 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "this answer is lost")
        return answer

    def stop(self) -> None:
        self.server.stop(0).wait()
