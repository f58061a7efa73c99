# SPDX-License-Identifier: Apache-2.0
"""pools: multiprocessing pools, one after the other, each terminated in the middle of its work or after it."""

import multiprocessing
import random
import time

from tests.chaos import truth


def task(number):
    truth.span("task", number=number)
    time.sleep(0.001)
    return number


def main():
    chance = random.Random()
    context = multiprocessing.get_context("fork")
    while True:
        truth.wait_for_room()
        with context.Pool(3, maxtasksperchild=chance.choice((None, 1, 20))) as pool:
            waiting = pool.map_async(task, range(chance.randrange(1, 200)), chunksize=1)
            if chance.random() < 0.5:
                waiting.wait(30)
            else:
                time.sleep(chance.random() / 2)
            pool.terminate()
        truth.span("pool")
        time.sleep(0.2)


main()
