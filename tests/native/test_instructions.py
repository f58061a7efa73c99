# SPDX-License-Identifier: Apache-2.0
"""What a span, a hooked call and a request may cost, in instructions: a regression is red on any machine.

Nanoseconds differ from run to run, instructions don't: three runs of a step lie within one per cent. A limit is what
was measured, plus eight per cent. What runs in the interpreter depends on how that was built, so its part of a limit
is scaled by a yardstick of plain Python. `python -m tests.bench.cost` tells where the instructions are.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys

import pytest

from tests.bench import callgrind

MARGIN = 1.08
YARDSTICK = 14_485  # instructions of the plain step in the interpreter that the limits were measured with
C_LIMITS = {"begin": 315, "set": 815, "end": 1040, "send": 3500}
# step -> (in pillion's module, elsewhere), both on top of the same step without pillion, where there is one
LIMITS = {
    "span": (1771, 1649),
    "span_with": (1542, 5343),
    "sqlite": (1314, 636),
    "unsampled": (319, 488),
    "wsgi": (4658, 6378),
    "asgi": (5597, 7707),
}

pytestmark = [
    pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind (apt-get install valgrind)"),
    pytest.mark.timeout(600),
]
one_interpreter = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="limits are recorded for CPython 3.11: others differ in what they inline"
)


@pytest.fixture(scope="session")
def tool() -> str:
    build = subprocess.run(
        ["scripts/build.sh", "plain", "tool_cost"], cwd=callgrind.ROOT, capture_output=True, text=True
    )
    assert build.returncode == 0, build.stderr
    return str(callgrind.ROOT / "build" / "plain" / "tool_cost")


@functools.cache
def yardstick() -> float:
    return callgrind.all_of(callgrind.python("yardstick", 400, traced=False))


@pytest.mark.parametrize("step", C_LIMITS)
def test_step_of_a_span_in_c_takes_no_more_instructions_than_recorded(step: str, tool: str) -> None:
    taken = callgrind.all_of(callgrind.difference([tool, step], 2048))
    assert taken <= C_LIMITS[step] * MARGIN


@one_interpreter
@pytest.mark.parametrize("step", LIMITS)
def test_step_from_python_takes_no_more_instructions_than_recorded(step: str) -> None:
    variables = {"OTEL_TRACES_SAMPLER": "always_off"} if step == "unsampled" else {}
    name = "sqlite" if step == "unsampled" else step
    costs = callgrind.python(name, 400, **variables)
    bare = callgrind.all_of(callgrind.python(name, 400, traced=False)) if name in ("sqlite", "wsgi", "asgi") else 0.0
    own = callgrind.ours(costs)
    elsewhere = callgrind.all_of(costs) - own - bare
    print(f"{step}: {own:.0f} in the module, {elsewhere:.0f} elsewhere, yardstick {yardstick():.0f}")
    limit_own, limit_elsewhere = LIMITS[step]
    assert own <= limit_own * MARGIN
    assert elsewhere <= limit_elsewhere * MARGIN * yardstick() / YARDSTICK
