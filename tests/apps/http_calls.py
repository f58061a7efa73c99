# SPDX-License-Identifier: Apache-2.0
"""Requests by requests, urllib3, urllib.request, http.client and httpx to a server that tells what reached it."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import json
import sys
import threading
import urllib.error
import urllib.request
import xmlrpc.client

import httpx
import requests
import urllib3

seen: list[tuple[str, dict[str, str]]] = []
released = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        seen.append((f"{self.command} {self.path}", dict(self.headers.items())))
        path = self.path.partition("?")[0]
        if path == "/slow":
            released.wait(60)
        status = 302 if path == "/away" else int(path[1:]) if path[1:].isdigit() else 200
        self.send_response(status)
        if path == "/away":
            self.send_header("Location", "/arrived")
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    do_GET = do_POST = do_HEAD = do_ODD = answer

    def log_message(self, *args):
        pass


class MyConnection(http.client.HTTPConnection):
    def putrequest(self, *args, **kwargs):
        return super().putrequest(*args, **kwargs)


def fails(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:
        print(type(error).__name__)


def with_requests(base):
    print(requests.get(base + "/first?sig=secret&a=1", auth=("user", "password")).text)
    print(requests.post(base + "/500", data=b"x" * 10).status_code)
    print(requests.get(base + "/away").status_code)
    prepared = requests.Request(
        "GET", base + "/mine", headers={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
    )
    prepared = prepared.prepare()
    print(requests.Session().send(prepared).status_code, sorted(prepared.headers))
    fails(requests.get, "http://127.0.0.1:9/refused")
    streamed = requests.get(base + "/streamed", stream=True)
    print(list(streamed.iter_content(1)))


def with_urllib3(base):
    pool = urllib3.PoolManager()
    print(pool.request("GET", base + "/away").status)
    print(pool.request("ODD", base + "/odd").status)
    fails(pool.request, "GET", "http://127.0.0.1:9/", retries=urllib3.Retry(1, backoff_factor=0))
    print(
        pool.request(
            "GET", base + "/503", retries=urllib3.Retry(1, status_forcelist=[503], raise_on_status=False)
        ).status
    )


def with_urllib(base):
    print(urllib.request.urlopen(base + "/plain").read())
    print(urllib.request.urlopen(base + "/away").read())
    fails(urllib.request.urlopen, base + "/404")
    fails(urllib.request.urlopen, "http://127.0.0.1:9/")
    fails(xmlrpc.client.ServerProxy(base + "/rpc").anything)


def with_http_client(base):
    connection = http.client.HTTPConnection(base.partition("//")[2])
    for path in ("/one", "/two"):
        connection.request("GET", path)
        print(connection.getresponse().read())
    connection.putrequest("POST", "/pieces")
    connection.putheader("Content-Length", "4")
    connection.endheaders()
    connection.send(b"body")
    fails(connection.request, "GET", "/too-early")
    print(connection.getresponse().read())
    connection.close()
    mine = MyConnection(base.partition("//")[2])
    mine.request("HEAD", "/mine")
    print(mine.getresponse().status)
    mine.request("GET", "/given-up")
    mine.close()


MINE = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}


def with_httpx(base):
    with httpx.Client(auth=("user", "password")) as client:
        first = client.get(base + "/first?sig=secret&a=1")
        print(first.text, sorted(first.request.headers), first.http_version)
        print(client.post(base + "/500", content=b"x" * 10).status_code)
        print([answer.url.path for answer in client.get(base + "/away", follow_redirects=True).history])
        print(client.get(base + "/mine", headers=MINE).status_code)
        fails(client.get, "http://127.0.0.1:9/refused")
        fails(client.get, "ftp://127.0.0.1/other")
        with client.stream("GET", base + "/streamed") as streamed:
            print(list(streamed.iter_raw(1)))
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(204))) as mocked:
        print(mocked.get(base + "/mocked").status_code)


def with_httpx_async(base):
    async def main():
        async with httpx.AsyncClient() as client:
            print(sorted(answer.text for answer in await asyncio.gather(*(client.get(f"{base}/{n}xx") for n in "abc"))))
            print((await client.get(base + "/404")).status_code)
            try:
                await client.get("http://127.0.0.1:9/refused")
            except httpx.ConnectError as error:
                print(type(error).__name__)
            try:
                await asyncio.wait_for(client.get(base + "/slow"), 0.2)
            except TimeoutError:
                print("timed out")
            async with client.stream("GET", base + "/streamed") as streamed:
                print([piece async for piece in streamed.aiter_raw()])

    asyncio.run(main())
    released.set()


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *args):
        """A client that went away."""


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
globals()["with_" + sys.argv[1]](base)
server.shutdown()
with open(sys.argv[2], "w") as out:
    json.dump({"base": base, "seen": seen}, out)
