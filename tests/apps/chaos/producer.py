# SPDX-License-Identifier: Apache-2.0
"""producer: threads that end numbered spans at a rate, or as fast as they can. Signals tell it how to end.

SIGTERM: in order. SIGUSR1: os._exit. SIGUSR2: forks a child that makes some spans and ends in one of many ways.
"""

import argparse
import os
import random
import signal
import sys
import threading
import time

from tests.chaos import truth

ENDS = (
    lambda: os._exit(0),
    lambda: os._exit(9),
    lambda: os.kill(os.getpid(), signal.SIGKILL),
    lambda: os.kill(os.getpid(), signal.SIGSEGV),
    os.abort,
    sys.exit,
)
SIGNALS = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
stopping = threading.Event()


def mixed(chance):
    """A span; now and then a long one, rarely one that no ring takes."""
    draw = chance.random()
    if draw < 0.00005:
        truth.span("too large", text="x" * 300_000)
    elif draw < 0.001:
        truth.span("long", text="x" * chance.randrange(100_000))
    elif draw < 0.3:
        truth.span("some", text="x" * chance.randrange(300), count=chance.randrange(1 << 40), share=draw)
    else:
        truth.span("plain")


def plain(chance):
    truth.span("plain", text="x" * 40)


def paced(rate, one):
    """Bursts of 10 ms each."""
    chance, due, owed = random.Random(), time.monotonic(), 0.0
    while not stopping.is_set():
        owed += rate / 100
        while owed >= 1:
            one(chance)
            owed -= 1
        due += 0.01
        left = due - time.monotonic()
        if left > 0:
            time.sleep(left)
        elif left < -1:
            due = time.monotonic()


def counted(number):
    for _ in range(number):
        truth.span("plain")
        if stopping.is_set():
            break


def child():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for _ in range(random.Random().randrange(60)):
        truth.span("child")
    random.Random().choice(ENDS)()
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1000, help="spans a second")
    parser.add_argument("--count", type=int, default=0, help="of each thread, as fast as it goes, then end")
    parser.add_argument("--plain", action="store_true", help="spans alike, none of which a ring refuses")
    wanted = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    each = (wanted.rate / wanted.threads, plain if wanted.plain else mixed)
    work, arguments = (counted, (wanted.count,)) if wanted.count else (paced, each)
    threads = [threading.Thread(target=work, args=arguments) for _ in range(wanted.threads)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        told = signal.sigtimedwait(SIGNALS, 0.1)
        number = told.si_signo if told else 0
        if number == signal.SIGTERM:
            stopping.set()
        elif number == signal.SIGUSR1:
            os._exit(3)
        elif number == signal.SIGUSR2 and os.fork() == 0:
            child()
        while reap():
            pass


def reap():
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


main()
