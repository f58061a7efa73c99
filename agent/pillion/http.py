# SPDX-License-Identifier: Apache-2.0
"""http: the conventions about requests that every HTTP hook shares: method, URL without secrets, host and port.

Pure functions on text, called in the application's thread before and after each request. Nothing here raises on odd
input: a URL is parsed for the span only, the library parses it for itself.
"""

from __future__ import annotations

import os
import sys
from _weakref import ref

from pillion import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from pillion._native import Span

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

# Values of these keys of a query string are signatures or keys (http-spans.md); matched with their case.
SECRET_KEYS = frozenset(
    (
        "AWSAccessKeyId",
        "Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Goog-Signature",
        "sig",
    )
)
CLIENTS = ("requests", "urllib3", "urllib", "http_client", "httpx")
PLACES = 256
NAMES = 1024
VERSIONS = {9: "0.9", 10: "1.0", 11: "1.1", 20: "2", 30: "3"}  # of http.client and urllib3


def known_methods(text: str | None) -> frozenset[str]:
    """`OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` replaces the list, as a whole."""
    return frozenset(word.strip() for word in text.split(",") if word.strip()) if text else METHODS


_known = known_methods(os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"))
_settings = config.read(os.environ)[0]
_capture_query = _settings.capture_query


def url_filter(libraries: tuple[str, ...]) -> Callable[[str], bool] | None:
    """Is a URL to be left alone? A library's own list wins over the one for all."""
    lists = _settings.excluded_urls
    own = [pattern for library in libraries for pattern in lists.get(library, ())]
    return config.url_filter(own or lists.get("", ()))[0]


def request_filter(
    libraries: tuple[str, ...], url_of: Callable[[dict[str, Any]], str]
) -> Callable[[dict[str, Any]], bool] | None:
    """The same for what a server is asked: of a WSGI environ or an ASGI scope."""
    match = url_filter(libraries)
    return None if match is None else lambda request: match(url_of(request))


_excluded = url_filter(CLIENTS)
_is_plain = _excluded is None and not _capture_query  # nothing needs the query
_peers: dict[int, tuple[ref[object], dict[str, object]]] = {}  # by the socket's id, as long as that is the same socket
_places: dict[tuple[str, str, int | None], tuple[str, int | None]] = {}
_names: dict[tuple[str, str], str] = {}


def redact_query(query: str) -> str:
    """The query string with the values of keys and signatures replaced; order and everything else stay."""
    if "=" not in query:
        return query
    parts = query.split("&")
    for at, part in enumerate(parts):
        key, equals, value = part.partition("=")
        if value and key in SECRET_KEYS:
            parts[at] = key + equals + "REDACTED"
    return "&".join(parts)


def redact_url(url: str, capture_query: bool = True) -> str:
    """Without credentials, without fragment, and with the query redacted or left out."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    rest = rest.partition("#")[0]
    path, question, query = rest.partition("?")
    authority, slash, path = path.partition("/")
    if separator and "@" in authority:
        authority = "REDACTED:REDACTED@" + authority.rpartition("@")[2]
    kept = question + redact_query(query) if capture_query and query else ""
    return scheme + separator + authority + slash + path + kept


def host_port(authority: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]:port` or `v6` into its parts; credentials are passed over."""
    authority = authority.rpartition("@")[2]
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else ""
    elif authority.count(":") == 1:
        host, _, port = authority.partition(":")
    else:
        host, port = authority, ""
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    return host, int(port) if digits and 0 < int(port) < 65536 else None


def method_of(method: object) -> tuple[str, str | None]:
    """The method as the conventions know it, and the one that was sent where that is another."""
    if isinstance(method, bytes):
        method = method.decode("latin-1")
    if not isinstance(method, str):
        return "_OTHER", None
    if method in _known:
        return method, None
    upper = method.upper()
    return (upper if upper in _known else "_OTHER"), method


def _named(method: str, template: str) -> str:
    """A server span's name, kept: an application has few of them."""
    if len(_names) >= NAMES:
        _names.clear()
    known = method_of(method)[0]
    name = _names[method, template] = f"{'HTTP' if known == '_OTHER' else known} {template}"
    return name


def set_route(entry: Span, method: str, template: str) -> None:
    """The route's template onto the request's span, and into its name."""
    entry.set("http.route", template)
    if entry.recording:
        entry.name(_names.get((method, template)) or _named(method, template))


def _origin(scheme: str, host: object, port: object) -> str:
    shown = f"[{host}]" if ":" in str(host) else str(host)
    return f"{scheme}://{shown}{'' if port is None or port == DEFAULT_PORTS.get(scheme) else f':{port}'}"


def _place(key: tuple[str, str, int | None]) -> tuple[str, int | None]:
    """How URLs of this place begin, and its port. At most PLACES are kept; when that's full it begins anew."""
    if len(_places) >= PLACES:
        _places.clear()
    scheme, host, port = key
    place = _places[key] = (_origin(scheme, host, port), port if port is not None else DEFAULT_PORTS.get(scheme))
    return place


def _resolved(scheme: str, host: object, port: object, target: object) -> tuple[str, object, object, str]:
    """Scheme, host, port and the URL of a request whose line says `target`: a path, or a whole URL for a proxy."""
    target = target.decode("latin-1") if isinstance(target, bytes) else str(target)
    head, separator, rest = target.partition("://")
    if separator and head.isalnum() and not target.startswith("/"):
        return (head.lower(), *host_port(rest.partition("/")[0].partition("?")[0]), target)
    return scheme, host, port, _origin(scheme, host, port) + (target if target.startswith("/") else "/" + target)


def client_measured(
    method: object, scheme: str, host: object, port: object, target: object
) -> dict[str, object] | None:
    """What the metric of a request needs, of one that makes no span; None: its URL is excluded."""
    if _excluded is not None or type(target) is not str or target[:1] != "/":
        scheme, host, port, url = _resolved(scheme, host, port, target)
        if _excluded is not None and _excluded(url):
            return None
    number = port if isinstance(port, int) else DEFAULT_PORTS.get(scheme)
    attributes: dict[str, object] = {"http.request.method": method_of(method)[0], "server.address": str(host)}
    if number is not None:
        attributes["server.port"] = number
    return attributes


def client_request(
    method: object, scheme: str, host: object, port: object, target: object
) -> tuple[str, dict[str, object]] | None:
    """Name and attributes of one physical request; None: its URL is excluded.

    Nearly always the target is a path, at a place that has been asked before."""
    if (
        not (_is_plain and type(target) is type(method) is type(host) is str and method in _known)
        or not (port is None or type(port) is int)
        or target[:1] != "/"
        or "#" in target
    ):
        return _any_request(method, scheme, host, port, target)
    key = (scheme, host, port)
    begin, number = _places.get(key) or _place(key)
    if "?" in target:
        target = target.partition("?")[0]
    attributes: dict[str, object] = {
        "http.request.method": method,
        "url.full": begin + target,
        "server.address": host,
    }
    if number is not None:
        attributes["server.port"] = number
    return method, attributes


def _any_request(
    method: object, scheme: str, host: object, port: object, target: object
) -> tuple[str, dict[str, object]] | None:
    scheme, host, port, url = _resolved(scheme, host, port, target)
    if _excluded is not None and _excluded(url):
        return None
    known, original = method_of(method)
    attributes: dict[str, object] = {
        "http.request.method": known,
        "url.full": redact_url(url, _capture_query),
        "server.address": str(host),
    }
    number = port if isinstance(port, int) else DEFAULT_PORTS.get(scheme)
    if number is not None:
        attributes["server.port"] = number
    if original is not None:
        attributes["http.request.method_original"] = original
    return ("HTTP" if known == "_OTHER" else known), attributes


def client_response(response: object) -> dict[str, object]:
    """Status and version of a response of http.client or urllib3; 4xx and 5xx are errors of a client's span."""
    return client_answer(getattr(response, "status", None), VERSIONS.get(getattr(response, "version", 0) or 0))


def client_answer(status: object, version: str | None) -> dict[str, object]:
    """The same of a response of any library."""
    attributes: dict[str, object] = {}
    if isinstance(status, int):
        attributes["http.response.status_code"] = status = int(status)
        if status >= 400:
            attributes["error.type"] = str(status)
    if version:
        attributes["network.protocol.version"] = version
    return attributes


def peer_of(connection: object) -> dict[str, object]:
    """Whom an open connection of http.client or urllib3 talks to. Asks real sockets only, never a mock, and each once:
    a connected one stays with its peer. The caller must not change what it gets."""
    sock = getattr(connection, "sock", None)
    known = sys.modules.get("socket")
    if known is None or not issubclass(type(sock), known.socket):
        return {}
    kept = _peers.get(id(sock))
    if kept is not None and kept[0]() is sock:
        return kept[1]
    try:
        peer = sock.getpeername()  # type: ignore[union-attr]
    except OSError:
        return {}
    if not isinstance(peer, tuple):  # of a unix socket
        return {}
    if len(_peers) >= PLACES:
        _peers.clear()
    described = {"network.peer.address": peer[0], "network.peer.port": peer[1]}
    _peers[id(sock)] = ref(sock), described
    return described


def peer_of_stream(stream: object) -> dict[str, object]:
    """Whom a stream of httpcore talks to, in the clear or over TLS; nothing of a unix socket's, or of a stand-in."""
    ask = getattr(stream, "get_extra_info", None)
    try:
        peer = ask("server_addr") if ask is not None else None
    except (OSError, LookupError):  # closed meanwhile
        return {}
    if type(peer) is not tuple or len(peer) < 2:
        return {}
    return {"network.peer.address": peer[0], "network.peer.port": peer[1]}
