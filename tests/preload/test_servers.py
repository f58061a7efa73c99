# SPDX-License-Identifier: Apache-2.0
"""Servers that bring Python themselves: uWSGI of pip (linked in) and of Debian (a plug-in), Apache with mod_wsgi.

Debian's are unpacked, not installed. The programs that open libpython late get pillion by PYTHONPATH, put back by boot.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.preloaded import LIBRARY, Preloaded
from tests.support.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "tests" / "apps" / "wsgi_state.py"
UWSGI = ["uwsgi-core", "uwsgi-plugin-python3", "libpcre3", "libyajl2"]
APACHE = ["apache2-bin", "libapache2-mod-wsgi-py3", "libapr1", "libaprutil1"]
NOBODY = 65534
pytestmark = pytest.mark.timeout(600)  # the first one gets packages; two servers come and go, each within its deadline
Command = Callable[[Preloaded, int], list[str | Path]]


@pytest.fixture(scope="session")
def debian() -> Path:
    """A folder with the servers of the Debian that this machine is."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if release.get("ID") != "debian":
        pytest.skip("this machine is no Debian")
    folder = ROOT / "build" / "preload" / "debian"
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    words: list[str | Path] = [
        ROOT / "scripts" / "debs.sh",
        release["VERSION_CODENAME"],
        architecture,
        folder,
        *UWSGI,
        *APACHE,
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"Debian's packages are not to be had: {done.stderr.strip()}")
    return folder


def libraries(folder: Path) -> str:
    return os.pathsep.join(f"{folder}/{part}/{os.uname().machine}-linux-gnu" for part in ("usr/lib", "lib"))


def answer(preloaded: Preloaded, command: list[str | Path], port: int, env: dict[str, str]) -> str:
    """Starts the server, asks it, ends it in order; what it answered."""
    log = preloaded.folder / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen([str(w) for w in command], env=env, stdout=out, stderr=out, cwd=preloaded.folder)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert server.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as response:
                    return str(response.read().decode())
            except urllib.error.HTTPError as error:
                raise AssertionError(log.read_text()) from error
            except OSError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
    finally:
        end(server, signal.SIGTERM if "apache" in str(command[0]) else signal.SIGINT)


def end(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Asks it to end. uWSGI has one worker here: one that still starts loses the signal, with us and without."""
    server.send_signal(number)
    try:
        server.wait(60)
    finally:
        server.kill()


def reached(preloaded: Preloaded, command: list[str | Path], port: int, **env: str) -> None:
    """The same answer with and without; then its spans, and no word in pillion's log."""
    with_us = preloaded.environ(**env)
    alone = {name: value for name, value in with_us.items() if name != "LD_PRELOAD"}
    assert answer(preloaded, command, port, alone) == answer(preloaded, command, port, with_us)
    preloaded.sink.adopt()
    preloaded.sink.wait(lambda: any(span.name.startswith("SELECT") for span in preloaded.sink.spans))
    assert {record["decision"] for record in preloaded.records()} == {"injected"} and preloaded.log() == ""
    assert {(record["via"], record["root"]) for record in preloaded.records()} == {("preload", str(LIBRARY.parents[1]))}


WSGI = ["--master", "--processes", "1", "--need-app", "--wsgi-file", str(APP), "--die-on-term"]


@pytest.mark.parametrize("more", [[], ["--lazy-apps"], ["--enable-threads", "--single-interpreter"]])
def test_uwsgi_of_pip(preloaded: Preloaded, more: list[str]) -> None:
    uwsgi, port = Path(sys.executable).parent / "uwsgi", free_port()
    reached(preloaded, [uwsgi, "--http-socket", f"127.0.0.1:{port}", *WSGI, *more], port)


@pytest.mark.parametrize("value", [None, "", "/a:/b", ":"], ids=["unset", "empty", "two", "colon"])
def test_uwsgi_of_debian_whatever_pythonpath_is(preloaded: Preloaded, debian: Path, value: str | None) -> None:
    port = free_port()
    command: list[str | Path] = [
        debian / "usr/bin/uwsgi-core",
        "--plugins-dir",
        debian / "usr/lib/uwsgi/plugins",
        "--plugin",
        "python3",
    ]
    command[-1] = next((debian / "usr/lib/uwsgi/plugins").glob("python3*_plugin.so")).name.partition("_")[0]
    env = {} if value is None else {"PYTHONPATH": value}
    reached(
        preloaded,
        [*command, "--http-socket", f"127.0.0.1:{port}", *WSGI],
        port,
        LD_LIBRARY_PATH=libraries(debian),
        **env,
    )


CONF = """\
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/httpd.pid
ErrorLog /dev/stderr
User nobody
Group nogroup
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {wsgi}
WSGIScriptAlias / {app}
WSGIDaemonProcess one processes=1 threads=2
WSGIProcessGroup one
WSGIApplicationGroup %{{GLOBAL}}
WSGISocketPrefix {folder}/wsgi
"""


def test_apache_with_mod_wsgi(preloaded: Preloaded, debian: Path) -> None:
    """Its workers run as another user: the run directory of this test is theirs."""
    if os.geteuid() != 0:
        pytest.skip("needs root: Apache's workers change their user")
    port, modules = free_port(), debian / "usr/lib/apache2/modules"
    place = Path("/var/tmp") / f"pillion-apache-{os.getpid()}"
    place.mkdir(mode=0o755)
    try:
        app = place / "app.py"
        app.write_bytes(APP.read_bytes())
        for folder in (preloaded.run_dir, *preloaded.run_dir.iterdir()):
            os.chown(folder, NOBODY, -1)
        conf = place / "httpd.conf"
        wsgi = next(modules.glob("mod_wsgi.so-3*"))
        conf.write_text(CONF.format(folder=place, port=port, modules=modules, wsgi=wsgi, app=app))
        env = {"LD_LIBRARY_PATH": libraries(debian), "PILLION_LOG": ""}
        reached(preloaded, [debian / "usr/sbin/apache2", "-f", conf, "-DFOREGROUND"], port, **env)
    finally:
        subprocess.run(["rm", "-rf", place], check=True)
