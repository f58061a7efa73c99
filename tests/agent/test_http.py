# SPDX-License-Identifier: Apache-2.0
"""http: redaction, hosts and methods as tables; odd input gives something harmless and never raises."""

from __future__ import annotations

import random
import socket
import unittest.mock

import pytest
from pillion import http


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/p", "https://h/p"),
        ("https://user:pass@h:8443/p", "https://REDACTED:REDACTED@h:8443/p"),
        ("https://token@h", "https://REDACTED:REDACTED@h"),
        ("https://a@b@h/p", "https://REDACTED:REDACTED@h/p"),
        ("https://h/p?a=1#secret", "https://h/p?a=1"),
        ("https://h/p@q?sig=s&Sig=t", "https://h/p@q?sig=REDACTED&Sig=t"),
        ("https://h?X-Amz-Signature=x&b", "https://h?X-Amz-Signature=REDACTED&b"),
        (
            "/p?AWSAccessKeyId=k&Signature=&X-Goog-Signature=g",
            "/p?AWSAccessKeyId=REDACTED&Signature=&X-Goog-Signature=REDACTED",
        ),
        ("", ""),
    ],
)
def test_url_loses_credentials_and_values_of_keys(url, expected):
    assert http.redact_url(url) == expected


def test_query_is_left_out_when_it_is_not_wanted():
    assert http.redact_url("https://h/p?a=1#f", capture_query=False) == "https://h/p"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("h", ("h", None)),
        ("h:80", ("h", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", None)),
        ("::1", ("::1", None)),
        ("u:p@h:1", ("h", 1)),
        ("h:", ("h", None)),
        ("h:x", ("h", None)),
        ("h:99999", ("h", None)),
        ("h:0", ("h", None)),
        ("h:٣", ("h", None)),
        ("", ("", None)),
    ],
)
def test_authority_is_split_into_host_and_port(authority, expected):
    assert http.host_port(authority) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", ("GET", None)),
        (b"POST", ("POST", None)),
        ("query", ("QUERY", "query")),
        ("PURGE", ("_OTHER", "PURGE")),
        ("", ("_OTHER", "")),
        (None, ("_OTHER", None)),
    ],
)
def test_method_is_a_known_one_or_other(method, expected):
    assert http.method_of(method) == expected


def test_list_of_known_methods_is_replaced_as_a_whole():
    assert http.known_methods("PURGE, GET") == {"PURGE", "GET"}
    assert http.known_methods("") is http.METHODS


@pytest.mark.parametrize(
    ("scheme", "host", "port", "target", "url", "server_port"),
    [
        ("http", "h", None, "/p", "http://h/p", 80),
        ("http", "h", 80, "/p", "http://h/p", 80),
        ("https", "h", 443, b"/p", "https://h/p", 443),
        ("https", "h", 80, "/p", "https://h:80/p", 80),
        ("http", "::1", 81, "p", "http://[::1]:81/p", 81),
        ("http", "h", 80, "*", "http://h/*", 80),
        ("http", "proxy", 3128, "https://u:p@h:1/p", "https://REDACTED:REDACTED@h:1/p", 1),
        ("http", "h", 80, "/to?u=http://other/", "http://h/to", 80),
        ("http+unix", "localhost", None, "/v1", "http+unix://localhost/v1", None),
    ],
)
def test_request_is_told_by_its_whole_url(scheme, host, port, target, url, server_port):
    name, attributes = http.client_request("GET", scheme, host, port, target)
    assert name == "GET"
    assert (attributes["url.full"], attributes.get("server.port")) == (url, server_port)


class Response:
    def __init__(self, status, version=11):
        self.status = status
        self.version = version


def test_response_tells_status_version_and_error():
    assert http.client_response(Response(204)) == {
        "http.response.status_code": 204,
        "network.protocol.version": "1.1",
    }
    assert http.client_response(Response(404, 20))["error.type"] == "404"
    assert http.client_response(object()) == {}
    assert http.client_response(Response("200", "HTTP/1.1")) == {}


def test_any_text_is_survived():
    source = random.Random(1)
    for _ in range(3000):
        text = "".join(source.choice("ab:/@[]?#&=.%\0é") for _ in range(source.randrange(12)))
        http.redact_url(text)
        http.redact_query(text)
        http.host_port(text)
        http.client_request(text, text, text, None, text)


class Connection:
    def __init__(self, sock):
        self.sock = sock


def test_peer_is_asked_of_connected_sockets_and_of_nothing_else():
    ours, theirs = socket.socketpair()
    unconnected = socket.socket()
    with ours, theirs, unconnected:
        mock = unittest.mock.MagicMock(spec=socket.socket)
        assert [http.peer_of(Connection(sock)) for sock in (ours, unconnected, mock, None)] == [{}] * 4
        assert mock.mock_calls == []
    assert http.peer_of(object()) == {}


def test_peer_of_a_socket_is_its_own_even_where_an_older_one_had_its_place_in_memory():
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        for server in (first, second) * 20:
            with socket.create_connection(server.getsockname()) as client:
                expected = {"network.peer.address": "127.0.0.1", "network.peer.port": server.getsockname()[1]}
                assert [http.peer_of(Connection(client)) for _ in range(2)] == [expected] * 2
            del client
