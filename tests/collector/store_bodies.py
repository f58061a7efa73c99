# SPDX-License-Identifier: Apache-2.0
"""Small export requests for the store's tests."""

from __future__ import annotations

import os
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def spans(number: int, service: str = "shop", text_bytes: int = 20) -> bytes:
    """A request of so many spans that carry text no compression makes small."""
    request = ExportTraceServiceRequest()
    owner = request.resource_spans.add()
    owner.resource.attributes.add(key="service.name").value.string_value = service
    scope = owner.scope_spans.add()
    now = time.time_ns()
    for _ in range(number):
        span = scope.spans.add(span_id=os.urandom(8), name="work", kind=2)
        span.trace_id = (now // 10**9).to_bytes(4, "big") + os.urandom(12)
        span.start_time_unix_nano, span.end_time_unix_nano = now, now + 1000
        span.attributes.add(key="text").value.string_value = os.urandom(text_bytes // 2).hex()
    return request.SerializeToString()
