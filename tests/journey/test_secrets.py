# SPDX-License-Identifier: Apache-2.0
"""Secrets planted wherever programs keep them: none is in a span, a record, a ring, a log, an answer or the store."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.collector.conftest import Running, eventually
from tests.journey import programs
from tests.journey.conftest import traces

SECRET = "hush4711"  # in each place with a name of that place behind it
SHOP = """
import http.client, logging, os, sqlite3, sys, time
import flask, jinja2, requests, sqlalchemy, urllib3
secret = lambda place: "hush4711" + place
logging.basicConfig(stream=sys.stderr, level=logging.CRITICAL)
app = flask.Flask("shop")
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE card (number TEXT UNIQUE, hash BLOB)")
@app.route("/card/<name>", methods=["POST"])
def card(name):
    database.execute(f"INSERT INTO card VALUES ('{secret('literal')}', x'{secret('hex').encode().hex()}')")
    database.execute("SELECT * FROM card WHERE number = ?", (secret("parameter"),)).fetchall()
    database.executemany("INSERT INTO card VALUES (?, NULL)", [(secret("many"),)])
    database.execute(f'SELECT "{secret("quoted")}" -- {secret("comment")}').fetchall()
    engine = sqlalchemy.create_engine("sqlite://", connect_args={"check_same_thread": False})
    with engine.connect() as opened:
        opened.execute(sqlalchemy.text(f"SELECT '{secret('alchemy')}'"))
        opened.execute(sqlalchemy.text("SELECT :x"), {"x": secret("bound")})
    flask.session["user"] = secret("session")
    return jinja2.Template("{{ x }}").render(x=secret("template"))
app.secret_key = secret("key")
client = app.test_client()
headers = {"Authorization": "Bearer " + secret("bearer"), "Cookie": "id=" + secret("cookie"), "X-Key": secret("header")}
client.post("/card/you?token=" + secret("query"), headers=headers, data={"number": secret("form")})
url = f"http://user:{secret('password')}@127.0.0.1:1/path?key={secret('url')}#{secret('fragment')}"
for call in (requests.get, urllib3.PoolManager(retries=False).urlopen, None):
    try:
        if call is None:
            connection = http.client.HTTPConnection("127.0.0.1", 1)
            connection.request("POST", "/x?k=" + secret("target"), secret("body"), headers)
        elif call is requests.get:
            call(url, headers=headers, auth=("me", secret("basic")))
        else:
            call("GET", url.replace(f"user:{secret('password')}@", ""), headers=headers)
    except Exception:
        pass
print("ready", flush=True)
sys.stdin.readline()
"""


def test_no_planted_secret_is_found_anywhere(collector: Running, run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SHOP)
    log = tmp_path / "pillion.log"
    environ = programs.clean(
        PILLION_RUN_DIR=str(run_dir),
        PILLION_LOG=str(log),
        SHOP_KEY=SECRET + "environment",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization={SECRET}otlp,broken {SECRET}broken",
    )
    command = programs.traced("secrets", sys.executable, "app.py", f"--password={SECRET}argument")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as shop:
        assert shop.stdout is not None and shop.stdout.readline() == b"ready\n"
        found = traces(collector, "service=secrets", at_least=4)
        inside = [path for path in run_dir.rglob("*") if path.is_file()]
        kept = {path: path.read_bytes() for path in inside}
        why = subprocess.run([sys.executable, "-m", "pillion", "why", "--json"], env=environ, capture_output=True)
        shop.send_signal(signal.SIGKILL)
    answers = [collector.fetch(f"/api/traces/{each['trace_id']}")[1] for each in found]
    names = {span["name"] for each in found for span in collector.get(f"/api/traces/{each['trace_id']}")["spans"]}
    assert {"POST /card/<name>", "GET"} <= names and any("INSERT" in name for name in names), names
    assert any(path.suffix == ".ring" for path in kept), "the ring was looked at too"
    answers += [collector.fetch(path)[1] for path in ("/api/processes", "/api/stats", "/metrics", "/api/traces?q=hush")]
    kept |= {path: path.read_bytes() for path in collector.data.rglob("*") if path.is_file()}
    kept[log] = log.read_bytes() if log.exists() else b""
    assert b"OTLP_HEADERS" in kept[log], "the broken header is told, without its value"
    for text in [*answers, why.stdout, why.stderr, *kept.values()]:
        assert not re.findall(rb"hush4711\w*", text)
        assert not re.findall(rb"(?i)" + b"hush4711hex".hex().encode(), text)


def test_the_way_to_the_collector_is_never_traced_itself(collector: Running, run_dir: Path, tmp_path: Path) -> None:
    """Spans and metrics leave from C, below every hook: no span names the collector's socket, port or service."""
    code = (
        "import http.client, sqlite3, time\nfor _ in range(20):\n    sqlite3.connect(':memory:').execute('SELECT 1')\n"
    )
    environ = programs.clean(
        PILLION_RUN_DIR=str(run_dir),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.grpc}",
        PILLION_EXIT_TIMEOUT="9000",
    )
    command = programs.traced("own", sys.executable, "-c", code)
    assert subprocess.run(command, env=environ, cwd=tmp_path).returncode == 0
    found = traces(collector, "service=own", at_least=20)
    spans = [span for each in found for span in collector.get(f"/api/traces/{each['trace_id']}")["spans"]]
    assert eventually(lambda: len(spans) == 20)
    assert {span["name"] for span in spans} == {"SELECT"}
