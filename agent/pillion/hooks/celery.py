# SPDX-License-Identifier: Apache-2.0
"""celery: one PRODUCER span for each task that is sent, one CONSUMER span for each run of it, joined over the broker.

A run is the child of what sent it, in the worker as in eager mode; inside another open span it stays that one's child
and links to its sender. A failure is the run's error. A retry isn't, but what it's for is on the span; the next attempt
is sent by this one. The headers that join them are taken off again before the task runs, and those that the application
sets itself stay.
"""

from __future__ import annotations

from pillion import patch
from pillion._native import current, extract, inject
from pillion.patch import CONSUMER, OBSERVE, PRODUCER, REPLACE, Call, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OURS = "pillion"  # a header: the names of the others that we wrote


def describe(call: Call) -> tuple[str, dict[str, object]]:
    return f"send {call.get(1, 'name')}", {
        "messaging.system": "celery",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
    }


def carry(call: Call) -> None:
    """Where the message is complete. Its headers were made for it. Celery's other messages have nothing to tell."""
    headers, span = call.kwargs.get("headers"), call.span
    sent = span is not None and span.kind == PRODUCER
    if type(headers) is not dict or not (sent or "task" in headers):
        return
    ours = [(name, value) for name, value in inject() if name not in headers]
    if "traceparent" not in headers and ours:
        headers.update(ours)
        headers[OURS] = ",".join(name for name, _ in ours)
    if sent and span is not None:
        exchange = call.kwargs.get("exchange")
        destination = getattr(exchange, "name", exchange) or call.kwargs.get("routing_key")
        told = {"messaging.destination.name": destination, "messaging.message.id": call.kwargs.get("correlation_id")}
        span.set_many({key: value for key, value in told.items() if value})


def sender_of(request: dict[str, Any]) -> Any:
    """What the message's headers say of its sender; ours are taken off, as if there had been none."""
    headers = request if OURS in request or "traceparent" in request else request.get("headers")
    if type(headers) is not dict:
        return None
    sender = extract(headers)
    for name in str(headers.pop(OURS, "")).split(","):
        headers.pop(name, None)
    return sender


def describe_run(call: Call) -> tuple[str, dict[str, object]]:
    request = call.get(3, "request") or {}
    call.state = sender_of(request)
    if current() is None:
        call.parent = call.state
    delivery, retries = request.get("delivery_info") or {}, request.get("retries")
    told = {
        "messaging.destination.name": delivery.get("exchange") or delivery.get("routing_key"),
        "messaging.message.id": call.get(0, "uuid"),
        "pillion.task.retries": retries,
    }
    return f"process {request.get('task')}", {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        **{key: value for key, value in told.items() if value},
    }


def conclude_run(call: Call, result: Any) -> dict[str, object] | None:
    """Celery answers with an outcome; it raises in eager mode only."""
    span: Any = call.span
    if call.parent is None and call.state is not None and call.state.trace_id.strip("0"):
        span.link(call.state.trace_id, call.state.span_id, None, call.state.flags, call.state.tracestate)
    outcome = result.info
    if outcome is None:
        return None
    error = outcome.retval
    if outcome.state == "FAILURE" and isinstance(error, BaseException):
        span.exception(error)
    elif outcome.state == "RETRY" and isinstance(getattr(error, "exc", None), BaseException):
        span.exception(error.exc, status=False)
    return {"pillion.task.state": outcome.state}


RUN = Target(CONSUMER, describe_run, conclude_run)


def traced(call: Call, tracer: Any) -> Any:
    return patch.keep(patch.wrap(tracer, RUN, "pillion.celery"))


TARGETS = {
    "celery.app.base:Celery.send_task": Target(PRODUCER, describe),
    "kombu.messaging:Producer.publish": Target(OBSERVE, carry),
    "celery.app.trace:build_tracer": Target(REPLACE, conclude=traced),
}
