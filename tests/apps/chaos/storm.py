# SPDX-License-Identifier: Apache-2.0
"""storm: forks many children at once, in the middle of a span; each makes a few spans and ends in its own way."""

import os
import random
import signal
import sys
import time

import pillion

from tests.chaos import truth

truth.book.mixed = True  # the span around the forks has no number
CHILDREN = 30


def child(chance):
    for _ in range(chance.randrange(6)):
        truth.span("leaf")
    if chance.random() < 0.2 and os.fork() == 0:
        truth.span("grandchild")
        os._exit(0)
    way = chance.randrange(4)
    if way == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == 1:
        sys.exit(0)
    os._exit(way)


def main():
    while True:
        truth.wait_for_room()
        with pillion.span("around the forks"):
            pids = []
            for _ in range(CHILDREN):
                pid = os.fork()
                if pid == 0:
                    child(random.Random(os.urandom(8)))
                pids.append(pid)
            for pid in pids:
                os.waitpid(pid, 0)
        truth.span("storm")
        time.sleep(0.5)


main()
