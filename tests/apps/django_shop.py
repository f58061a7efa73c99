# SPDX-License-Identifier: Apache-2.0
"""A Django application in one file, and what its clients see over a socket: routes, includes, errors, streams.

Served by the server that the first argument names, or by whoever asks for `application`; with PGPORT in the environment
it has a database.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="none",
    LOGGING_CONFIG=None,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "shop",
            "USER": "shop",
            "HOST": "127.0.0.1",
            "PORT": os.environ["PGPORT"],
        }
    }
    if "PGPORT" in os.environ
    else {},
)
django.setup()

from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import Http404, HttpResponse, StreamingHttpResponse  # noqa: E402
from django.urls import include, path, re_path, resolve  # noqa: E402

application = WSGIHandler()


class Item(models.Model):
    name = models.CharField(max_length=99)

    class Meta:
        app_label = "shop"
        db_table = "items"


def item(request, item):
    return HttpResponse(f"item {item} {resolve(request.path_info).url_name}")


def part(request, version, name):
    return HttpResponse(f"part {name} of {version}")


async def later(request, item):
    return HttpResponse(f"later {item}")


def crash(request):
    raise ZeroDivisionError("of the application")


def absent(request):
    raise Http404


def forbidden(request):
    raise PermissionDenied


def refused(request):
    return HttpResponse("no", status=503)


def stream(request):
    return StreamingHttpResponse(f"piece {number}\n" for number in range(3))


def stored(request, name):
    with connection.schema_editor() as editor, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS items")
        editor.create_model(Item)
    Item.objects.create(name=name)
    return HttpResponse(str(list(Item.objects.filter(name=name).values_list("name", flat=True))))


parts = [re_path(r"^part/(?P<name>[a-z]+)/$", part)]
urlpatterns = [
    path("items/<int:item>/", item, name="item"),
    path("later/<int:item>/", later),
    path("crash/", crash),
    path("absent/", absent),
    path("forbidden/", forbidden),
    path("refused/", refused),
    path("stream/", stream),
    path("stored/<name>/", stored),
    path("api/<version>/", include(parts)),
    re_path(r"^old/(\d+)$", item),
]


def serve(kind):
    if kind == "wsgiref":
        from wsgiref.simple_server import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log_message(self, *args):
                pass

        server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port, server.shutdown
    import uvicorn

    config = uvicorn.Config(ASGIHandler(), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        threading.Event().wait(0.01)

    def stop():
        server.should_exit = True
        thread.join()

    return server.servers[0].sockets[0].getsockname()[1], stop


def ask(port, line):
    import socket

    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            f"GET {line} HTTP/1.0\r\nHost: shop.example\r\ntraceparent: 00-{'a' * 32}-{'b' * 16}-01\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    print([text for text in answer.split("\r\n") if not text.lower().startswith(("date", "server"))])


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR, format="%(name)s %(message)s")
    port, stop = serve(sys.argv[1])
    for line in sys.argv[2:]:
        ask(port, line)
    stop()
