# SPDX-License-Identifier: Apache-2.0
"""endpoint: OTEL_EXPORTER_OTLP_ENDPOINT as the native sender wants it, "host:port" or "unix:/path"."""

from __future__ import annotations

DEFAULT_PORT = "4317"
NO_TLS = "https is not spoken here: name a receiver in plain text (http://127.0.0.1:4317) or the node's collector"


def parse(value: str) -> tuple[str | None, str | None]:
    """Reads unix:/path, unix:///path or http://host[:port]; gives (target, None) or (None, what is wrong)."""
    scheme, _, rest = value.partition(":")
    scheme = scheme.lower()
    if scheme == "unix" and rest.startswith("/"):
        return "unix:/" + rest.lstrip("/"), None
    if scheme == "https":
        return None, NO_TLS
    if scheme != "http" or not rest.startswith("//"):
        return None, "neither http://host:port nor unix:/path"
    return _authority(rest[2:])


def _authority(rest: str) -> tuple[str | None, str | None]:
    address, _, path = rest.partition("/")
    if path or "@" in address or "?" in address or "#" in address:
        return None, "gRPC takes http://host:port alone, without a path, a user or a query"
    # A colon inside the brackets of an IPv6 address is none before a port.
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, DEFAULT_PORT
    if not host.strip("[]") or (":" in host and not (host[0] == "[" and host[-1] == "]")):
        return None, "no host in it that makes sense"
    if not all("!" <= c <= "~" for c in host):
        return None, "the host must be plain ASCII"
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65_536):
        return None, "the port is not a number from 1 to 65535"
    return host + ":" + str(int(port)), None
