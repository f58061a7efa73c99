# SPDX-License-Identifier: Apache-2.0
"""redis: one CLIENT span for each command or pipeline, by the synchronous and the asynchronous client.

Keys and values stay in the process: what is told is the command's name. What a broker's transport (kombu's) asks of its
own connections is no span, neither its polling nor its sending, which celery.py tells of; nor is what a subscription
waits for.
"""

from __future__ import annotations

from weakref import ref

from pillion.db import with_batch
from pillion.patch import CLIENT, OBSERVE, Call, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pillion.db import Described

NAMES = 1024
# The next word is part of the command.
CONTAINERS = {"ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "FUNCTION", "LATENCY", "MEMORY", "MODULE", "OBJECT"}
CONTAINERS |= {"PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO"}
# By the pool's id, as long as that is the same pool: what is known of its commands, or None, a broker's.
_pools: dict[int, tuple[ref[Any], dict[tuple[str, str], Described] | None]] = {}


def know(pool: Any, commands: dict[tuple[str, str], Described] | None) -> None:
    """Threads may do so at once: what is kept may be gone in the next moment."""
    if len(_pools) >= NAMES:
        for key in [key for key, (known, held) in list(_pools.items()) if held is not None or known() is None]:
            _pools.pop(key, None)
    _pools[id(pool)] = ref(pool), commands


def broker(call: Call, pool: object) -> None:
    know(pool, None)


def operation_of(command: object) -> str:
    """The command's name, of what may be a whole line."""
    if isinstance(command, bytes):
        command = command.decode("ascii", "replace")
    words = command.upper().split(None, 2) if isinstance(command, str) else []
    return " ".join(words[: 2 if words[0] in CONTAINERS else 1]) if words else ""


def made(given: dict[str, Any], prefix: str, command: str) -> Described:
    """The description of a command, or of a pipeline of them, on a connection with these settings."""
    operation = f"{prefix} {operation_of(command)}".strip()
    path = given.get("path")
    told = {
        "db.operation.name": operation,
        "server.address": path or given.get("host"),
        "server.port": None if path else given.get("port") or 6379,
    }
    attributes = {"db.system.name": "redis", "db.namespace": str(given.get("db") or 0)}
    return operation or "redis", {**attributes, **{name: value for name, value in told.items() if value}}


def described(pool: Any, prefix: str, command: object) -> Described:
    """An application has few commands: what was made for one is kept and given again."""
    known = _pools.get(id(pool))
    commands: dict[tuple[str, str], Described] | None = {}
    if known is not None and known[0]() is pool:
        commands = known[1]
    else:
        know(pool, commands)
    if commands is None:
        return None
    key = prefix, command if type(command) is str else operation_of(command)
    kept = commands.get(key)
    if kept is None:
        if len(commands) >= NAMES:
            commands.clear()
        kept = commands[key] = made(pool.connection_kwargs, *key)
    return kept


def describe(call: Call) -> Described:
    return described(call.get(0, "self").connection_pool, "", call.get(1, "command"))


def describe_pipeline(call: Call) -> Described:
    pipeline = call.get(0, "self")
    stack = pipeline.command_stack
    if not stack:
        return None
    first = stack[0][0][0]
    same = all(command[0][0] == first for command in stack)
    transaction = getattr(pipeline, "is_transaction", None)  # of the asynchronous one
    if transaction is None:
        transaction = pipeline.transaction
    prefix = "MULTI" if transaction or pipeline.explicit_transaction else "PIPELINE"
    return with_batch(described(pipeline.connection_pool, prefix, first if same else ""), stack)


def failed(call: Call, error: BaseException) -> dict[str, object] | None:
    """The word that the server's answer began with, where the library has left it there."""
    code = str(getattr(error, "status_code", None) or error).partition(" ")[0]
    return {"db.response.status_code": code} if code.isalpha() and code.isupper() else None


COMMAND = Target(CLIENT, describe, failed=failed, family="db")
PIPELINE = Target(CLIENT, describe_pipeline, failed=failed, family="db")
TARGETS = {
    "redis.client:Redis.execute_command": COMMAND,
    "redis.client:Pipeline.immediate_execute_command": COMMAND,
    "redis.client:Pipeline.execute": PIPELINE,
    "redis.asyncio.client:Redis.execute_command": COMMAND,
    "redis.asyncio.client:Pipeline.immediate_execute_command": COMMAND,
    "redis.asyncio.client:Pipeline.execute": PIPELINE,
    "kombu.transport.redis:Channel._get_pool": Target(OBSERVE, conclude=broker, optional=True),
}
