# SPDX-License-Identifier: Apache-2.0
"""What every HTTP answer obeys: known Host names only (DNS rebinding), and headers that keep a hostile attribute inert.

Plain ASGI, so that streams pass through untouched.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any

import orjson

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


def is_loopback(host: str) -> bool:
    """Whether who listens there is heard by this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost")


def hosts_of(bound: str) -> frozenset[str]:
    """Names that may stand in Host, beside loopback. "*" stands for any IP address: a rebinding attack needs a name."""
    names = {"localhost", bound.lower()}
    if bound in ("0.0.0.0", "::"):
        names |= {"*", socket.gethostname().lower()}
    return frozenset(names)


class Guard:
    """Refuses foreign Hosts and methods; adds the headers."""

    def __init__(self, app: Any, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                here = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in _HEADERS if name not in here),
                ]
                if b"cache-control" not in here:
                    message["headers"].append((b"cache-control", b"no-cache"))
            await send(message)

        host = _host(scope)
        if not allowed(host, self._hosts):
            await _refuse(
                guarded, 403, "this Host name is not served; use a loopback address, or the one given with --http", host
            )
        elif scope["method"] not in ("GET", "HEAD"):
            await _refuse(guarded, 405, "only GET is served", host)
        else:
            await self._app(scope, receive, guarded)


def allowed(host: str, names: frozenset[str]) -> bool:
    """`host` as in the header, with or without a port."""
    match = re.fullmatch(r"(?:\[([0-9a-f:.%]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", host.lower())
    if match is None:
        return False
    name = match[1] or match[2].rstrip(".")
    if name in names or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return "*" in names or address.is_loopback


def _host(scope: Any) -> str:
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return found[0] if len(found) == 1 else ""


async def _refuse(send: Any, status: int, error: str, host: str) -> None:
    body = orjson.dumps({"error": error, "parameter": "Host"} if status == 403 else {"error": error})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
