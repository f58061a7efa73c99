# SPDX-License-Identifier: Apache-2.0
"""asgi: one SERVER span for each HTTP request of any ASGI application that uvicorn serves.

The span lasts until the response's last piece has been sent; what runs afterwards (background tasks) is in its trace,
and how that ends isn't the request's outcome. After a 5xx the span waits for the application's end, since the exception
comes then. Websockets and lifespan make no span.
"""

from __future__ import annotations

from pillion import asgi
from pillion.patch import OBSERVE, Call, Target


def served(call: Call, result: object) -> None:
    config = call.args[0]
    config.loaded_app = asgi.wrap(config.loaded_app)


TARGETS = {"uvicorn.config:Config.load": Target(OBSERVE, conclude=served)}
