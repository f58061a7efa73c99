# SPDX-License-Identifier: Apache-2.0
"""starlette: the request's SERVER span is named `{method} {route}`, of Starlette and FastAPI; asgi.py makes the span.

The route is the template as the application wrote it, with those of the mounts and routers around it.
"""

from __future__ import annotations

from pillion import http
from pillion.patch import OBSERVE, Call, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Container


def root_of(scope: dict[str, object], own: Container[str]) -> str:
    """Where the application or its mount begins; what a mount's parameters matched is told by their names."""
    root = str(scope.get("root_path") or "").rstrip("/")
    matched = scope.get("path_params")
    if not root or not isinstance(matched, dict) or not matched:
        return root
    names = {str(value): name for name, value in matched.items() if name not in own}
    return "/".join("{" + names[part] + "}" if part in names else part for part in root.split("/")) if names else root


def path_of(route: Any, scope: dict[str, Any]) -> str:
    """Of a route in a router that FastAPI has included, this is known with the request only."""
    included = scope.get("fastapi")
    context = included.get("effective_route_context") if isinstance(included, dict) else None
    return str((route if context is None or context.original_route is not route else context).path)


def routed(call: Call) -> None:
    entry, scope = call.entry, call.get(1, "scope")
    if entry is not None and (entry.recording or entry.measured) and scope["type"] == "http":
        route = call.args[0]
        http.set_route(entry, scope["method"], root_of(scope, route.param_convertors) + path_of(route, scope))


def mounted(call: Call) -> None:
    """What is mounted may have no routes; else the route that follows wins."""
    entry, scope = call.entry, call.get(1, "scope")
    if entry is not None and (entry.recording or entry.measured) and scope["type"] == "http":
        http.set_route(entry, scope["method"], root_of(scope, ()) + "/{path}")


TARGETS = {
    "starlette.routing:Route.handle": Target(OBSERVE, routed),
    "starlette.routing:Mount.handle": Target(OBSERVE, mounted),
    "fastapi.routing:APIRoute.handle": Target(OBSERVE, routed, optional=True),
}
