# SPDX-License-Identifier: Apache-2.0
"""Generated answers for fake_api: pure functions of the time and of a seed, in the form of the JSON API."""

from __future__ import annotations

import math
import random
from typing import Any

SERVICES = {
    "shop": 31.0,
    "checkout": 6.2,
    "catalogue": 44.0,
    "payments": 2.1,
    "mailer": 0.04,
    "recommendations-batch": 0.4,
}
OPERATIONS = ["GET /", "GET /product/<int:id>", "POST /cart", "POST /checkout", "GET /search", "send receipt"]
SECOND = 1_000_000_000


def services(now: int, query: dict[str, str], empty: bool) -> object:
    rows: list[Any] = []
    for index, (name, rate) in enumerate(SERVICES.items()):
        dice = random.Random(name)
        p50 = dice.uniform(2e6, 60e6)
        spark: list[Any] = []
        for slot in range(30):
            requests = int(rate * 120 * (1 + 0.5 * math.sin(slot / 4 + index)) * dice.uniform(0.7, 1.2))
            errors = int(requests * 0.2) if index == 3 and 20 < slot < 25 else int(dice.random() * 1.04)
            spark.append({"t": str(now - (30 - slot) * 120 * SECOND), "requests": requests, "errors": errors})
        requests = sum(point["requests"] for point in spark)
        errors = sum(point["errors"] for point in spark)
        rows.append({
            "name": name, "requests": requests, "errors": errors, "rate": requests / 3600,
            "error_rate": errors / max(requests, 1), "p50_ns": int(p50), "p95_ns": int(p50 * dice.uniform(2, 9)),
            "p99_ns": int(p50 * dice.uniform(9, 40)), "instances": dice.randrange(1, 5), "spans": requests * 7,
            "last_ns": str(now - int(dice.uniform(0, 9e9))), "sparkline": spark,
        })  # fmt: skip
    return {"from": str(now - 3600 * SECOND), "to": str(now), "services": [] if empty else rows}


def traces(now: int, query: dict[str, str], empty: bool) -> object:
    dice = random.Random(7)
    rows: list[Any] = []
    for index in range(0 if empty else 400):
        spans = dice.choice([3, 7, 12, 18, 24, 41])
        operation = dice.choice(OPERATIONS)
        error = dice.random() < 0.06
        root = dice.choice(list(SERVICES)[:3])
        rows.append({
            "trace_id": f"{10**9 + index:026d}{spans:06d}", "root_name": operation, "root_service": root,
            "start_ns": str(now - int(dice.uniform(0, 3000e9))), "duration_ns": int(dice.lognormvariate(17.5, 1.1)),
            "spans": spans, "errors": 1 if error else 0, "status": "error" if error else "ok",
            "services": [{"name": root, "spans": spans - 2}, {"name": "payments", "spans": 2}],
        })  # fmt: skip
    rows = [row for row in rows if query.get("q", "").lower() in row["root_name"].lower()]
    rows = [row for row in rows if query.get("service", row["root_service"]) == row["root_service"]]
    rows = [row for row in rows if query.get("status", row["status"]) == row["status"]]
    slowest = query.get("order") == "slowest"
    rows.sort(key=lambda row: -row["duration_ns"] if slowest else -int(row["start_ns"]))
    limit = int(query.get("limit", "100"))
    return {"traces": rows[:limit], "truncated": len(rows) > limit}


def operations(now: int, query: dict[str, str], empty: bool) -> object:
    return {"operations": [{"service": "shop", "name": name, "kind": "SERVER"} for name in OPERATIONS]}


def trace(trace_id: str, now: int) -> object:
    """A trace of as many spans as the last six digits of its id say."""
    count = max(1, int(trace_id[-6:]))
    dice = random.Random(trace_id)
    start = now - 60 * SECOND
    bounds: list[tuple[int, int]] = [(0, 180_000_000)]
    spans = [_span(0, None, "shop", "POST /checkout", "SERVER", start, bounds[0], dice)]
    names = list(SERVICES)
    while len(spans) < count:
        parent = max(0, len(spans) - 1 - int(dice.expovariate(0.4)))
        low, high = bounds[parent]
        width = (high - low) * dice.uniform(0.15, 0.7)
        begin = low + dice.uniform(0.02, 0.98 - width / (high - low + 1)) * (high - low)
        bounds.append((int(begin), int(begin + width)))
        client = dice.random() < 0.5
        name = dice.choice(["SELECT products", "INSERT orders"] if client else OPERATIONS)
        service = spans[parent]["service"] if client else names[parent % len(names)]
        spans.append(
            _span(len(spans), parent, service, name, "CLIENT" if client else "SERVER", start, bounds[-1], dice)
        )
    resource = {"service.name": "shop", "service.version": "2.4.1", "process.pid": 4711, "host.name": "node-3"}
    return {"trace_id": trace_id, "start_ns": str(start), "duration_ns": bounds[0][1], "services": names,
            "spans": spans, "resources": {"1": resource}}  # fmt: skip


def _span(
    index: int, parent: int | None, service: str, name: str, kind: str, start: int, bound: tuple[int, int], dice: Any
) -> dict[str, Any]:
    low, high = bound
    failed = index in (5, 6)
    attributes: dict[str, object] = {"thread.id": 140234, "thread.name": "MainThread"}
    if kind == "CLIENT":
        attributes |= {"db.system.name": "sqlite", "db.namespace": "shop.db", "db.query.summary": name,
                       "db.query.text": "SELECT id, name, price FROM products WHERE id = ? ORDER BY name"}  # fmt: skip
    else:
        attributes |= {"http.request.method": name.split()[0], "http.route": name.split()[-1], "url.scheme": "http",
                       "url.path": "/checkout", "http.response.status_code": 500 if failed else 200,
                       "server.address": "shop.local", "server.port": 8000, "client.address": "10.1.2.3"}  # fmt: skip
    events = []
    if failed:
        stack = 'Traceback (most recent call last):\n  File "app.py", line 42, in checkout\n    charge(cart)\n'
        events = [{"time_ns": str(start + high), "name": "exception", "attributes": {
            "exception.type": "payments.CardRefused", "exception.message": "card 4711 was refused",
            "exception.stacktrace": stack * 4 + "payments.CardRefused: card 4711 was refused"}}]  # fmt: skip
        attributes["error.type"] = "payments.CardRefused"
    return {
        "span_id": f"{index + 1:016x}", "parent_id": None if parent is None else f"{parent + 1:016x}", "name": name,
        "kind": kind, "service": service, "instance": "i-1", "pid": 4711, "start_ns": str(start + low),
        "duration_ns": high - low, "status": "error" if failed else "unset",
        "status_message": "card 4711 was refused" if failed else "", "attributes": attributes, "events": events,
        "links": [{"trace_id": f"{9:032x}", "span_id": f"{9:016x}", "attributes": {}}] if index == 3 else [],
        "scope": {"name": "pillion.flask", "version": "0.1.0"}, "tracestate": "", "flags": 1, "resource_id": "1",
        "dropped": {"attributes": 0, "events": 0, "links": 0},
    }  # fmt: skip


def processes(now: int, query: dict[str, str], empty: bool) -> object:
    rows = []
    for index, name in enumerate(["shop", "shop", "shop", "checkout", "catalogue", "payments"]):
        ended = index == 2
        rows.append({
            "id": f"{4711 + index}-{900 + index}", "pid": 4711 + index, "service": name, "instance": "i-1",
            "command": "gunicorn", "python": "3.11.2", "alive": not ended, "started_ns": str(now - 5400 * SECOND),
            "ended_ns": str(now - 300 * SECOND) if ended else None, "exit": {"signal": 9} if ended else None,
            "decision": None if index == 1 else "injected", "reason": "",
            "cpu": 0.031 * (index + 1), "memory_bytes": 48_000_000 + index * 7e6,
            "threads": 4 + index, "fds": 12 + index, "parent_pid": 4711 if index in (1, 2) else 1,
            "spans": 120_000 // (index + 1), "container": "4be1" * 16 if index == 0 else None,
            "own_pid": 1 if index == 0 else 4711 + index, "hidden": index == 3,
            "denied": ["disk"] if index == 0 else [],
        })  # fmt: skip
    rows = [] if empty else rows
    refusals = [("python2.7", "CPython 2.7 is not supported (3.8 to 3.15 are)"), ("python3", "PILLION_ENABLED=0")]
    for index, (command, reason) in enumerate(refusals):
        rows.append({
            "id": f"{880 + index}-77", "pid": 880 + index, "service": None, "instance": None, "command": command,
            "python": command.removeprefix("python"), "alive": True, "started_ns": str(now - 9000 * SECOND),
            "ended_ns": None, "exit": None, "decision": "not", "reason": reason, "cpu": 0.002,
            "memory_bytes": 21_000_000, "threads": 1, "fds": 6, "parent_pid": 1, "spans": 0,
        })  # fmt: skip
    return {"processes": rows}


def why(now: int, query: dict[str, str], empty: bool) -> object:
    """The refused ones with their codes, one instrumented, one that nothing reached, one that can't be looked into."""
    told = [
        (880, 77, "python2.7", "not", "VERSION", "This version of CPython is not supported; 3.8 to 3.15 are.",
         ["CPython 2.7 is not supported (3.8 to 3.15 are)"], "Run it by a supported version."),
        (881, 77, "python3", "not", "DISABLED", "PILLION_ENABLED switches pillion off for it.", ["PILLION_ENABLED=0"],
         "Unset PILLION_ENABLED, or set it to true, and start it again."),
        (4711, 900, "python3", "injected", "INJECTED", "It is instrumented.", [], "Nothing."),
        (990, 12, "python3.12", "not", "NOT_REACHED", "Nothing brings pillion into it.",
         ["LD_PRELOAD is not set in its environment", "no /etc/ld.so.preload where it runs"],
         "Set LD_PRELOAD to libpillion.so for its container or service and start it again."),
        (991, 13, "uwsgi", "unknown", "UNREADABLE", "It could be Python, but this user may not look into it.",
         ["/proc/991/maps: Permission denied"], "Ask as root, or as the process's own user."),
    ]  # fmt: skip
    rows = [
        {"id": f"{pid}-{ticks}", "pid": pid, "own_pid": pid, "start_ticks": ticks, "command": command, "alive": True,
         "decision": decision, "code": code, "means": means, "reason": "; ".join(evidence), "evidence": evidence,
         "do": do, "service": None, "python": None, "parent_pid": 1, "notes": []}
        for pid, ticks, command, decision, code, means, evidence, do in told
    ]  # fmt: skip
    deaths = [{"pid": 5, "time_ns": str(now)}] * 3
    crashed = [{"exe": "/usr/bin/python3.12", "program": "/srv/till.py", "deaths": deaths, "until_ns": str(now)}]
    rules = ["/opt/pillion/rules.conf:7: dney module=shop (not understood)"]
    return {"processes": rows, "crashed": crashed, "rules": rules}


def metrics(process_id: str, now: int) -> object:
    shapes: list[tuple[str, str, str, float, dict[str, str]]] = [
        ("process.cpu.utilization", "1", "gauge", 0.2, {"cpu.mode": "user"}),
        ("process.memory.usage", "By", "gauge", 5e7, {}),
        ("process.thread.count", "{thread}", "gauge", 6, {}),
        ("process.unix.file_descriptor.count", "{file_descriptor}", "gauge", 14, {}),
        ("pillion.eventloop.lag", "s", "gauge", 0.002, {}),
    ]  # fmt: skip
    rows = []
    for name, unit, kind, scale, attributes in shapes:
        dice = random.Random(process_id + name)
        points = [[str(now - (720 - i) * 5 * SECOND), scale * (1 + 0.4 * math.sin(i / 40) + dice.uniform(-0.1, 0.1))]
                  for i in range(720)]  # fmt: skip
        rows.append({"name": name, "unit": unit, "kind": kind, "attributes": attributes, "points": points})
    return {"id": process_id, "metrics": rows}


def stats(now: int, query: dict[str, str], empty: bool) -> object:
    collector = {"received": 0 if empty else 1_284_133, "stored": 0 if empty else 1_284_120,
                 "refused": {} if empty else {"too_large": 11, "bad_data": 2}, "queue": 0,
                 "store_bytes": 81_264_640, "duplicates": 3, "adopted": 12, "uptime_s": 5400.2,
                 "version": "0.1.0"}  # fmt: skip
    rows = [] if empty else [
        {"id": f"{4711 + i}-{900 + i}", "pid": 4711 + i, "service": "shop", "recorded": 120_000 - i, "sent": 119_950,
         "stored": 119_950 - i, "dropped": {"ring_full": 30} if i == 1 else {},
         "waiting": 50 if i != 1 else 20, "in_flight": 1, "duplicates": 0, "balanced": True}
        for i in range(4)
    ]  # fmt: skip
    total = {"recorded": 480_000, "stored": 479_794, "dropped": {"ring_full": 30} if rows else {}, "balanced": True}
    return {"collector": collector, "processes": rows, "total": total}


def crashes(now: int, query: dict[str, str], empty: bool) -> object:
    rows: list[Any] = []
    hows: list[dict[str, Any]] = [{"signal": 9, "oom": True}, {"signal": 11}, {"code": 3}, {"unknown": True}]
    for index, exit in enumerate([] if empty else hows):
        ended = now - (index * 400 + 30) * SECOND
        trace_id = f"{index:030d}41"
        requests = [{"name": "POST /checkout", "detail": f"POST /checkout/{at}", "kind": "SERVER", "trace_id": trace_id,
                     "span_id": f"{at:016x}", "parent_id": None, "start_ns": str(ended - 2 * SECOND)}
                    for at in range(1, 3 - index % 2)]  # fmt: skip
        last = [{"name": name, "kind": "CLIENT", "trace_id": trace_id, "span_id": f"{at + 9:016x}",
                 "start_ns": str(ended - (at + 1) * SECOND // 7), "duration_ns": 1_700_000 * (at + 1),
                 "status": "error" if at == 2 else "unset"}
                for at, name in enumerate(["SELECT orders", "GET", "INSERT payments"])]  # fmt: skip
        rows.append({
            "id": f"{4711 + index}-{900 + index}", "pid": 4711 + index, "service": "shop", "instance": "i-1",
            "command": "gunicorn", "began_ns": str(ended - 5400 * SECOND), "ended_ns": str(ended), "exit": exit,
            "how": "", "requests": requests, "last_spans": last, "recorded": 120_000, "stored": 119_999,
            "dropped": {"torn": 1}, "duplicates": 0, "balanced": True,
            "container": None if index else "4be1" * 16,
        })  # fmt: skip
    return {"crashes": rows, "truncated": False}
