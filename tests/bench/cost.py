# SPDX-License-Identifier: Apache-2.0
"""`make cost`: where the instructions of a span, of a hooked call and of a request go, into docs/cost.md.

Needs valgrind and the C programs (scripts/build.sh plain). Takes some minutes: what runs is simulated.
"""

from __future__ import annotations

import platform

from tests.bench import callgrind
from tests.bench.__main__ import sinks

TOOL = str(callgrind.ROOT / "build" / "plain" / "tool_cost")
PAGE = callgrind.ROOT / "docs" / "cost.md"
GROUPS = {  # of a span in C, by the beginnings of functions' names
    "ids": ("ids_", "permute", "mix"),
    "clock": ("clock_", "read_ns", "__vdso"),
    "attributes": ("items_", "span_set", "write_", "set_new", "single_bytes", "may_be_set"),
    "ring": ("ring_", "take", "move_tail", "copy"),
    "encoding": ("otlp_", "wire_", "put_", "next_item", "intern_", "value_ok", "step", "find_text"),
}
STEPS = ("begin", "set", "end", "send")
TITLES = {"begin": "begin", "set": "3 attributes", "end": "end, into the ring", "send": "encode (sender's thread)"}
HOOKS = ("hook_call",)
CONTEXT = ("context_store", "context_get", "context_set")
HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- written by `make cost` -->
# Where the instructions go

Counted by valgrind's callgrind, which gives the same numbers each time: what a step takes with three times the rounds,
less what it takes with one. tests/native/test_instructions.py holds the sums. Instructions are no nanoseconds: of
these, a core at 2.8 GHz does one to three in a nanosecond.
"""
NOTES = """
*The module* is native/ itself; *hooks* are describe and conclude, in Python; *context variable* is CPython's
contextvars on our behalf; *the rest* is the interpreter: our functions in place of the library's, and allocation.

*Method cache* is what CPython looks up once more because its cache of attributes has 4,096 places, found by addresses:
which attributes share one is luck, and differs from process to process whether pillion is in it or not. An application
of SQLAlchemy's size spends 3 to 5 % of its instructions on that, so two processes of it differ by up to 2 %.
Laid out in memory in five ways, its request spent 111 to 182 k there without pillion; in three, 129 to 164 k with it.

What is not in these figures, because it has been looked for and isn't there: garbage collections (a request leaves as
many objects to the collector with pillion as without, so they come as often; they are off here), and code of the
application and its libraries that runs differently (it executes the same bytecode, instruction by instruction).

Both sides have the same environment variables. `requests` goes through all of them four times a request, at some 20,000
instructions for each variable: with pillion in the process there may be one more (PYTHONPATH).
""".strip().splitlines()


def by_group(costs: callgrind.Costs) -> dict[str, float]:
    found = dict.fromkeys((*GROUPS, "the rest"), 0.0)
    for where, cost in costs.items():
        names = (group for group, starts in GROUPS.items() if where[1].startswith(starts))
        found[next(names, "the rest")] += cost / 1000 if len(where) == 2 else 0
    return found


def span_table() -> list[str]:
    """A span in C, step by step: each program does one more than the one before."""
    rows = [f"| a span, in C | {' | '.join((*GROUPS, 'the rest'))} | all |", "|---" * (len(GROUPS) + 3) + "|"]
    before = dict.fromkeys((*GROUPS, "the rest"), 0.0)
    for step in STEPS:
        now = by_group(callgrind.difference([TOOL, step], 2048))
        cells = [now[group] - before[group] for group in now]
        rows.append(f"| {TITLES[step]} | {' | '.join(f'{cell:,.0f}' for cell in cells)} | {sum(cells):,.0f} |")
        before = now
    return rows


def split(what: str, step: str, rounds: int, is_added: bool, **variables: str) -> str:
    """One row: what pillion adds to a step, by who does it."""
    without = callgrind.python(step, rounds, False, **variables) if is_added else callgrind.Costs()
    bare, missed = callgrind.all_of(without), callgrind.asked(without, callgrind.MISSES[:1])
    costs = callgrind.python(step, rounds, True, **variables)
    total, own = callgrind.all_of(costs), callgrind.ours(costs)
    hooks, context = callgrind.asked(costs, HOOKS), callgrind.asked(costs, CONTEXT)
    misses = callgrind.asked(costs, callgrind.MISSES[:1]) - missed
    rest = total - bare - own - hooks - context - misses
    share = f"{(total - bare) / bare:.1%} of {bare:,.0f}" if is_added else "–"
    cells = " | ".join(f"{cell:,.0f}" for cell in (own, hooks, context, misses, rest, total - bare))
    return f"| {what} | {cells} | {share} |"


def python_table(neighbour: str) -> list[str]:
    return [
        "| from Python | the module | hooks | context variable | method cache | the rest | all | of the bare step |",
        "|---|---|---|---|---|---|---|---|",
        split("`begin`, 3 × `set`, `end`", "span", 300, False),
        split("`with pillion.span(…)`", "span_with", 400, False),
        split("sqlite3 call, sampled", "sqlite", 400, True),
        split("sqlite3 call, not sampled", "sqlite", 400, True, OTEL_TRACES_SAMPLER="always_off"),
        split("request, WSGI alone", "wsgi", 400, True),
        split("request, ASGI alone", "asgi", 400, True),
        split("request, Flask + Jinja + 3 × sqlite3", "app_a", 30, True),
        split("the same, not sampled", "app_a", 30, True, OTEL_TRACES_SAMPLER="always_off"),
        split("request, Flask + SQLAlchemy + requests", "app_c", 20, True, NEIGHBOUR_URL=neighbour),
    ]


def main() -> None:
    with sinks() as addresses:
        rows = python_table(addresses["agent"] + "/seen")
    text = "\n".join(
        [
            HEAD,
            *span_table(),
            "",
            *rows,
            "",
            *NOTES,
            "",
            f"CPython {platform.python_version()}, {platform.machine()}.",
            "",
        ]
    )
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
