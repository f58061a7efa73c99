# SPDX-License-Identifier: Apache-2.0
"""What the collector takes, spans a second and core: decoded; decoded and committed; through gRPC with all the rest.

A typical span: six attributes, 250 bytes on the wire, 512 to a request that is named as a stretch of a ring, every id
random. CPU is the whole process's.
python -m tests.bench.bench_collector [--quick]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import grpc
import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pillion_collector.decode import Decoder
from pillion_collector.store import Batch, Store

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MAIN = "import sys; from pillion_collector.cli import main; sys.exit(main(sys.argv[1:]))"
SPANS = 512
IN_FLIGHT = 32


def body(second: int) -> bytes:
    """One request, its trace ids beginning with the second, as pillion's do."""
    request = ExportTraceServiceRequest()
    owner = request.resource_spans.add()
    owner.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = owner.scope_spans.add()
    scope.scope.name = "pillion.flask"
    for number in range(SPANS):
        span = scope.spans.add(span_id=os.urandom(8), parent_span_id=os.urandom(8), name="GET /cart/<id>", kind=2)
        span.trace_id = second.to_bytes(4, "big") + os.urandom(12)
        span.start_time_unix_nano = second * 10**9 + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + int.from_bytes(os.urandom(3), "big")
        texts = {
            "http.request.method": "GET",
            "http.route": "/cart/<id>",
            "url.path": f"/cart/{number % 97}",
            "server.address": "localhost",
        }
        for key, text in texts.items():
            span.attributes.add(key=key).value.string_value = text
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="server.port").value.int_value = 8080
    return request.SerializeToString()


def decoded(bodies: list[bytes], rounds: int) -> float:
    decoder = Decoder("traces")
    best = 0.0
    for _ in range(rounds):
        decoder.clear()
        begun = time.process_time()
        for one in bodies:
            decoder.append(one)
        best = max(best, len(decoder.items) / (time.process_time() - begun))
    return best


def stored(bodies: list[bytes], requests: int, folder: Path) -> float:
    """Decoded and committed by the store, the emptying of its log included."""
    store = Store(folder)
    begun = time.process_time()
    waiting: deque[Any] = deque()
    for number in range(requests):
        waiting.append(store.append("traces", bodies[number % len(bodies)], Batch(*_batch(number))))
        if len(waiting) > IN_FLIGHT:
            waiting.popleft().result(60)
    for future in waiting:
        future.result(60)
    store.close()
    return requests * SPANS / (time.process_time() - begun)


def through_grpc(bodies: list[bytes], requests: int, folder: Path) -> dict[str, float]:
    """A whole `pillion up`, and its CPU from the first request to the last answer."""
    command = [sys.executable, "-c", MAIN, "up", "--json", "--data", str(folder / "data"), "--grpc", "127.0.0.1:0"]
    command += ["--http", "127.0.0.1:0", "--socket", str(folder / "sock")]
    environment = os.environ | {"PILLION_RUN_DIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout
            process.stdout.readline()  # it is ready
            collector = psutil.Process(process.pid)
            before, begun = sum(collector.cpu_times()[:2]), time.monotonic()
            _send(f"unix:{folder / 'sock'}", bodies, requests)
            taken, cpu = time.monotonic() - begun, sum(collector.cpu_times()[:2]) - before
            peak = next(
                line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line
            )
        finally:
            process.terminate()
            process.wait(30)
    size = sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
    return {
        "spans_per_s_per_core": requests * SPANS / cpu,
        "spans_per_s": requests * SPANS / taken,
        "peak_rss_mb": int(peak.split()[1]) / 1024,
        "bytes_per_span_on_disk": size / (requests * SPANS),
    }


def _send(target: str, bodies: list[bytes], requests: int) -> None:
    with grpc.insecure_channel(target) as channel:
        export: Any = channel.unary_unary(EXPORT)
        waiting: deque[Any] = deque()
        for number in range(requests):
            ring, start, end = _batch(number)
            name = f"{ring.hex()}-{start:016x}-{end:016x}"
            metadata = (("pillion-batch", name),)
            waiting.append(export.future(bodies[number % len(bodies)], timeout=60, metadata=metadata))
            if len(waiting) > IN_FLIGHT:
                assert waiting.popleft().result() == b""
        for call in waiting:
            assert call.result() == b""


def _batch(number: int) -> tuple[bytes, int, int]:
    """As many processes send as there are requests on their way: each its ring, stretch by stretch."""
    ring, at = (number % (2 * IN_FLIGHT)).to_bytes(16, "big"), number // (2 * IN_FLIGHT)
    return ring, at, at + 1


def measure(quick: bool = False) -> dict[str, float]:
    """All figures; `spans_per_s_per_core` is the one through gRPC."""
    now = int(time.time())
    bodies = [body(now + number) for number in range(20 if quick else 200)]
    requests = 100 if quick else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "decoded_per_s_per_core": decoded(bodies, 2 if quick else 5),
            "stored_per_s_per_core": stored(bodies, requests, folder / "store"),
            **through_grpc(bodies, requests, folder),
        }


if __name__ == "__main__":
    print(json.dumps(measure("--quick" in sys.argv), indent=1))
