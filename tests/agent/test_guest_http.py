# SPDX-License-Identifier: Apache-2.0
"""Requests that nobody should send, and frameworks that we don't hook: bare and traced, the answers are equal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps import odd_requests
from tests.journey import programs
from tests.support.guest import same, was_traced
from tests.support.servers import free_port
from tests.support.traced import Traced, clean_environ

APP = Path(odd_requests.__file__)


@pytest.mark.parametrize("server", ["werkzeug", "wsgiref"])
def test_a_malformed_request_gets_the_answer_it_gets_without_us(traced: Traced, server: str) -> None:
    same(traced, APP.read_text(), server, PYTHONHASHSEED="0")
    was_traced(traced, lambda: len(traced.sink.spans) > 20)


@pytest.mark.parametrize("module", ["odd_requests:app", "site_a.wsgi:application"])
def test_malformed_requests_and_generated_sites_under_gunicorn_are_answered_alike(
    traced: Traced, tmp_path: Path, module: str
) -> None:
    """Flask; and the site that Django generates, whose wsgi.py names its settings itself."""
    (tmp_path / "odd_requests.py").write_text(APP.read_text())
    subprocess.run([sys.executable, "-m", "django", "startproject", "site_a", str(tmp_path)], check=True)
    settings = tmp_path / "site_a" / "settings.py"
    settings.write_text(settings.read_text() + "\nDEBUG = False\nALLOWED_HOSTS = ['localhost', 'example.org']\n")
    said = []
    for environ in (clean_environ(), traced.environ()):
        port = free_port()
        kept = {key: value for key, value in environ.items() if key.startswith(("PILLION_", "PYTHONPATH"))}
        kept["PYTHONHASHSEED"] = "0"
        command = programs.gunicorn(port, module, workers=1)
        with programs.serving(command, port, tmp_path / "log", kept, tmp_path) as server:
            said.append([odd_requests.ask(port, raw) for raw in odd_requests.requests()])
            assert server.end() == 0
    assert said[1] == said[0]
    assert len({each.split()[1] for each in said[0] if each.startswith(b"HTTP/")}) > 1, "not all refused"
    was_traced(traced, lambda: len(traced.sink.spans) > 20)


def test_a_malformed_url_fails_in_a_client_as_it_fails_without_us(traced: Traced) -> None:
    code = r"""
        import http.client, urllib.request, requests, urllib3
        here = "http://127.0.0.1:1"
        urls = ["", "http://", "http://:1/", "http://[::1/", "http://[::1]:1/", "http://a b/", "http://127.0.0.1:x/"]
        urls += ["//x"]
        urls += ["x:y", "http://127.0.0.1:99999/", "http://user:secret@127.0.0.1:1/?token=secret", here + "/\ud800"]
        urls += [here + "/\x00", here + "/a b", here.upper(), here.encode(), None, 5, "http://\u05d0\u05d1:1/\u05d0"]
        def tried(call, *arguments):
            try:
                call(*arguments)
            except Exception as error:
                print(type(error).__name__, [type(each).__name__ for each in error.args])
        for url in urls:
            tried(requests.get, url)
            tried(urllib3.PoolManager(retries=False).urlopen, "GET", url)
            tried(urllib.request.urlopen, url)
        for method in ("", "G T", "GET", b"GET", None):
            for target in ("", "/", "/\u05d0", "/a b", None):
                for host in ("127.0.0.1", "::1", "[::1]", "a\r\nb"):
                    tried(http.client.HTTPConnection(host, 1, timeout=5).request, method, target)
    """
    same(traced, code)
    was_traced(traced)
