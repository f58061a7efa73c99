# SPDX-License-Identifier: Apache-2.0
"""Commands, pipelines, transactions, a subscription and a broker's transport on a Redis, by both of its clients."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys

import kombu
import redis
import redis.asyncio

PORT = int(os.environ["REDIS_PORT"])


def fails(call, *args):
    try:
        call(*args)
    except redis.RedisError as error:
        print(type(error).__name__, error)


def sync():
    client = redis.Redis(port=PORT, db=3)
    client.flushdb()
    print(client.set("secret-key", "secret-value"), client.get("secret-key"))
    client.config_get("maxmemory")
    fails(client.lpush, "secret-key", "secret-value")
    fails(client.execute_command, "ECHO")
    print(client.execute_command(b"ECHO", "secret-value"), client.execute_command("ECHO secret-value"))
    with client.pipeline() as pipeline:
        print(pipeline.set("a", 1).incr("a").execute())
    with client.pipeline(transaction=False) as pipeline:
        print(pipeline.get("a").get("b").execute())
        print(pipeline.execute())
    with client.pipeline() as pipeline:
        pipeline.watch("a")
        before = int(pipeline.get("a"))
        pipeline.multi()
        print(pipeline.set("a", before + 1).execute())
    with client.pubsub() as listener:
        listener.subscribe("news")
        print(client.publish("news", "secret-value"), [listener.get_message(timeout=5)["type"] for _ in range(2)])
    fails(redis.Redis(port=9, db=1, retry=None).get, "a")
    print(isinstance(client, redis.StrictRedis), inspect.signature(redis.Redis.execute_command))


def transport():
    with kombu.Connection(f"redis://127.0.0.1:{PORT}/5") as connection, connection.SimpleQueue("orders") as queue:
        queue.put({"secret": 1})
        message = queue.get(timeout=30)
        message.ack()
        print(message.payload)


def asynchronous():
    async def main():
        async with redis.asyncio.Redis(port=PORT, db=4) as client:
            await client.flushdb()
            await asyncio.gather(*(client.set(f"secret-{number}", number) for number in range(3)))
            print(await client.get("secret-1"))
            async with client.pipeline(transaction=True) as pipeline:
                print(await pipeline.set("a", 1).incr("a").execute())
            try:
                await client.lpush("a", 1)
            except redis.ResponseError as error:
                print(error)
            try:
                await asyncio.wait_for(client.blpop("nothing"), 0.1)
            except TimeoutError:
                print("waited")
            print(inspect.iscoroutinefunction(client.execute_command))

    asyncio.run(main())


globals()[sys.argv[1]]()
