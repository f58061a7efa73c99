# SPDX-License-Identifier: Apache-2.0
"""opentelemetry: what the application records with OpenTelemetry's API becomes native spans in the same trace.

Works on the API package alone, by its tracer that waits for a provider and by its context's three operations. When the
application sets a provider of its own, pillion stands down.
"""

from __future__ import annotations

from pillion.patch import OBSERVE, REPLACE, Call, Target


def current_context(call: Call, stored: object) -> object:
    from pillion import otel

    bridge = otel.bridge()
    return stored if bridge is None else bridge.current_context(stored)


def before_attach(call: Call) -> None:
    """What detach will go back to is the context as it is now."""
    from pillion import otel

    bridge = otel.bridge()
    if bridge is not None:
        bridge.current_context(bridge.raw_current())


def after_attach(call: Call, token: object) -> None:
    from pillion import otel

    bridge = otel.bridge()
    if bridge is not None:
        bridge.attached(call.get(1, "context"))


def after_detach(call: Call, result: object) -> None:
    from pillion import otel

    bridge = otel.bridge()
    if bridge is not None:
        bridge.detached()


def tracer_made(call: Call, result: object) -> None:
    from pillion import otel

    otel.give_tracer(call.get(0, "self"))


def provider_set(call: Call, result: object) -> None:
    from pillion import otel

    otel.notice_provider()


_RUNTIME = "opentelemetry.context.contextvars_context:ContextVarsRuntimeContext."
TARGETS = {
    _RUNTIME + "get_current": Target(REPLACE, conclude=current_context),
    _RUNTIME + "attach": Target(OBSERVE, before_attach, after_attach),
    _RUNTIME + "detach": Target(OBSERVE, conclude=after_detach),
    "opentelemetry.trace:ProxyTracer.__init__": Target(OBSERVE, conclude=tracer_made),
    "opentelemetry.trace:set_tracer_provider": Target(OBSERVE, conclude=provider_set),
    "opentelemetry.trace:_set_tracer_provider": Target(OBSERVE, conclude=provider_set, optional=True),
}
