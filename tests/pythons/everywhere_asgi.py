# SPDX-License-Identifier: Apache-2.0
"""An ASGI application's coroutine and send behind what stands for them, on every CPython; see everywhere.py.

Every case runs bare and wrapped, and both must do the same.
"""

import asyncio
import gc
import inspect
import traceback
import types
import unittest
import warnings
import weakref

import pillion  # noqa: F401  (starts nothing more; says what is missing)
from pillion import _native, asgi

START = {"type": "http.response.start", "status": 200, "headers": []}
LAST = {"type": "http.response.body", "body": b"ok"}


def scope(**more):
    given = {"type": "http", "method": "GET", "scheme": "http", "path": "/", "http_version": "1.1", "headers": []}
    return {**given, **more}


class Server:
    """What is sent comes here; each message takes a turn of the loop."""

    def __init__(self):
        self.sent = []

    async def send(self, message):
        await asyncio.sleep(0)
        self.sent.append(message["type"])
        return "sent"


def outcome(app, drive):
    """How one run ends, in words that don't depend on who is between."""
    server = Server()
    try:
        result = asyncio.run(drive(app, server))
    except BaseException as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return type(error).__name__, str(error), frames, server.sent
    return result, server.sent


async def awaits(app, server):
    return await app(scope(), None, server.send)


async def makes_a_task(app, server):
    return await asyncio.get_running_loop().create_task(app(scope(), None, server.send))


async def cancels(app, server):
    task = asyncio.ensure_future(app(scope(), None, server.send))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    return await task


async def closes(app, server):
    running = app(scope(), None, server.send)
    running.send(None)
    running.close()
    return "closed"


async def answers(scope, receive, send):
    assert await send(START) == "sent"
    assert await asyncio.ensure_future(send(LAST)) == "sent"
    return "result"


async def raises(scope, receive, send):
    await send(START)
    raise KeyError("mine")


async def raises_at_once(scope, receive, send):
    raise KeyError("mine")


async def stops(scope, receive, send):
    raise StopAsyncIteration("odd")


async def waits(scope, receive, send):
    try:
        await asyncio.sleep(60)
    finally:
        await send(START)


async def survives(scope, receive, send):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "survived"


async def holds_on(scope, receive, send):
    try:
        await asyncio.sleep(60)
    except GeneratorExit:
        await send(START)


def is_no_coroutine(scope, receive, send):
    return types.SimpleNamespace()


def refuses(scope, receive, send):
    raise TypeError("refused")


class Awaitable:
    def __init__(self, scope, receive, send):
        self.inner = answers(scope, receive, send)

    def __await__(self):
        return self.inner.__await__()


APPLICATIONS = answers, raises, raises_at_once, stops, waits, survives, holds_on, is_no_coroutine, refuses, Awaitable
WAYS = awaits, makes_a_task, cancels, closes


class AsgiTest(unittest.TestCase):
    def test_every_application_does_the_same_however_it_is_driven(self):
        for app in APPLICATIONS:
            for drive in WAYS:
                if drive in (awaits, makes_a_task) and app in (waits, survives, holds_on):
                    continue  # that takes a minute
                if app is Awaitable and drive is not awaits:
                    continue  # bare, it's no coroutine
                with self.subTest(app=app.__name__, drive=drive.__name__):
                    self.assertEqual(outcome(asgi.wrap(app), drive), outcome(app, drive))
        self.assertIsNone(_native.current())

    def test_it_is_a_coroutine_to_whoever_asks(self):
        running = asgi.wrap(answers)(scope(), None, Server().send)
        self.assertTrue(asyncio.iscoroutine(running) and inspect.isawaitable(running))
        self.assertEqual(running.cr_code, answers.__code__)
        running.close()

    def test_the_request_is_current_while_the_application_runs_and_nowhere_else(self):
        seen = []

        async def app(scope, receive, send):
            seen.append(_native.current())
            await asyncio.ensure_future(inner())
            await send(START)
            seen.append(_native.current())

        async def inner():
            seen.append(_native.current())

        async def drive():
            await asgi.wrap(app)(scope(), None, Server().send)
            self.assertIsNone(_native.current())

        asyncio.run(drive())
        self.assertEqual(len(set(map(id, seen))), 1)
        self.assertEqual(seen[0].kind, 2)
        self.assertTrue(seen[0].ended)

    def test_span_ends_with_the_last_message_unless_it_is_a_server_error(self):
        ended = []

        async def app(scope, receive, send):
            span = _native.current()
            await send({**START, "status": scope["status"], "trailers": scope["trailers"]})
            await send({**LAST, "more_body": True})
            ended.append(span.ended)
            await send(LAST)
            ended.append(span.ended)
            if scope["trailers"]:
                await send({"type": "http.response.trailers", "headers": []})
                ended.append(span.ended)

        for status, trailers in ((200, False), (200, True), (500, False)):
            asyncio.run(asgi.wrap(app)(scope(status=status, trailers=trailers), None, Server().send))
        self.assertEqual(ended, [False, True, False, False, True, False, False])

    def test_headers_make_it_the_child_of_who_asked(self):
        parent = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
        seen = []

        async def app(scope, receive, send):
            seen.append((_native.current().trace_id, _native.current().tracestate, _native.current().baggage))

        for lines in (
            [(b"traceparent", parent), (b"tracestate", b"a=1"), (b"tracestate", b"b=2"), (b"baggage", b"k=v")],
            ((b"traceparent", parent),),
            [[b"traceparent", parent], [b"traceparent", parent]],
            [(b"traceparent", parent, b"odd"), (b"host",), (1, 2), None, (b"forwarded", "text")],
            iter([(b"traceparent", parent)]),
            None,
        ):
            asyncio.run(asgi.wrap(app)(scope(headers=lines), None, None))
        self.assertEqual(seen[0], ("a" * 32, "a=1,b=2", "k=v"))
        self.assertEqual(seen[1][0], "a" * 32)
        self.assertFalse([trace_id for trace_id, *_ in seen[2:] if trace_id == "a" * 32])

    def test_odd_scopes_and_messages_are_the_applications_business(self):
        async def app(scope, receive, send):
            for message in ({}, {"type": 7}, {**START, "status": "200"}, {**START, "status": 2**70}, LAST):
                await send(message)

        class Silent:
            async def send(self, message):
                pass

        odd = {"path": 7, "client": ("h",), "server": ["h", "p"], "method": b"GET", "query_string": 7, "headers": 7}
        asyncio.run(asgi.wrap(app)(scope(**odd), None, Silent().send))
        for other in ({"type": "lifespan"}, {}, None):
            asyncio.run(asgi.wrap(app)(other, None, Silent().send))
        with self.assertRaises(TypeError):
            asgi.wrap(app)()

    def test_nothing_is_kept_of_a_request_that_is_over_or_that_nobody_finishes(self):
        class Thing:
            pass

        for finishes in (True, False):
            thing = Thing()
            known = weakref.ref(thing)

            async def app(scope, receive, send):
                scope["thing"].running = scope["running"]
                if not scope["finishes"]:
                    await asyncio.Future()

            running = []
            made = asgi.wrap(app)(scope(thing=thing, running=running, finishes=finishes), None, Server().send)
            running.append(made)  # a cycle through all of it
            if finishes:
                asyncio.run(self.awaiting(made))
            else:
                loop = asyncio.new_event_loop()
                loop.run_until_complete(self.once(made))
                loop.close()
            del made, running, thing
            gc.collect()
            self.assertIsNone(known())

    async def awaiting(self, made):
        await made

    async def once(self, made):
        made.send(None)

    def test_one_that_is_never_awaited_is_warned_of_as_ever(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asgi.wrap(answers)(scope(), None, Server().send)
            gc.collect()
        self.assertEqual([str(each.message) for each in caught], ["coroutine 'answers' was never awaited"])


if __name__ == "__main__":
    unittest.main()
