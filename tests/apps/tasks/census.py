# SPDX-License-Identifier: Apache-2.0
"""What a process holds: descriptors, threads, children. Programs print it at their end, to be compared by their output.

Helper threads of the runtime's own may need a moment to leave, so a census waits (at most some seconds) until there
are no more threads than Python knows of. Nothing here knows any library; /proc tells it all.
"""

from __future__ import annotations

import os
import re
import threading
import time


def descriptors() -> list[str]:
    """What each open descriptor points to, without the numbers of pipes and sockets."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:  # the one that listed the folder
            continue
        found.append(re.sub(r":\[\d+\]|\d{3,}", "", target))
    return sorted(found)


def threads() -> int:
    """Threads as the kernel counts them."""
    return len(os.listdir("/proc/self/task"))


def children() -> list[str]:
    """State and name of each child, zombies included."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as file:
                text = file.read()
        except OSError:  # no process, or gone by now
            continue
        command, _, rest = text.partition(" (")[2].rpartition(") ")
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid():
            found.append(f"{state} {command}")
    return sorted(found)


def census(label: str, at_rest: int = 0, seconds: float = 10) -> None:
    """Prints the census. `at_rest`: how many threads there are to be; 0: those that Python knows of."""
    deadline = time.monotonic() + seconds
    while threads() > (at_rest or threading.active_count()) and time.monotonic() < deadline:
        time.sleep(0.01)
    print(f"{label}: threads {threads()}, children {children()}, descriptors {descriptors()}", flush=True)
