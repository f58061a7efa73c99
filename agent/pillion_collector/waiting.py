# SPDX-License-Identifier: Apache-2.0
"""What waits for the writer: a queue that is bounded by bytes, and hands out as much as one transaction takes.

Transactions are paced: most of what one costs it costs whatever its size, so that under a steady load of small requests
the writer rests, in proportion to what the last one took, and never for long. Much that waits ends the rest, and so
does what is in a hurry: adoption takes one step after the other. After a pause there is no rest to wait for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from pillion_collector.commit import Job
from pillion_collector.store_types import StoreBusy, StoreError

_GROUP_BYTES: Final = 16 << 20  # of one transaction: bounds the decoder's memory
_ENOUGH_BYTES: Final = 2 << 20  # so much is a good transaction: don't linger for more
_MUCH_BYTES: Final = 160 << 10  # a sender's full batch of small spans: it has more to send, and waits for the answer
_REST: Final = 9  # times what the last transaction took: a tenth of the writer's time is its work …
_REST_S: Final = 0.2  # … but no answer waits longer than this for want of company


class Waiting:
    """Many threads put, one takes."""

    def __init__(self, limit_bytes: int, linger_s: float) -> None:
        self._limit_bytes = limit_bytes
        self._linger_s = linger_s
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._rest_until_s = 0.0
        self._woken = False
        self._closed = False
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Raises StoreBusy when full; a job larger than the whole queue still fits when it is alone."""
        with self._changed:
            if self._closed:
                raise StoreError("closed", "the store is closed")
            if self._jobs and self.bytes + job.bytes > self._limit_bytes:
                raise StoreBusy(f"{self.bytes} bytes wait for the disk; the limit is {self._limit_bytes}")
            self._jobs.append(job)
            self.bytes += job.bytes
            self._changed.notify_all()

    def wake(self) -> None:
        """Makes `take` return soon, with nothing if there is nothing."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def take(self, timeout_s: float) -> list[Job] | None:
        """What belongs into the next transaction; empty after the timeout; None when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._woken or self._closed, timeout_s)
            if self._jobs and not self._closed:
                self._linger()
            self._woken = False
            if not self._jobs and self._closed:
                return None
            return self._group()

    def took(self, seconds: float) -> None:
        """What the transaction took that has just ended."""
        self._rest_until_s = time.monotonic() + min(_REST * seconds, _REST_S)

    def _linger(self) -> None:
        """Gives others the chance to share the transaction and its sync."""
        until = time.monotonic() + self._linger_s
        while self.bytes < _ENOUGH_BYTES and not self._closed:
            rests = self.bytes < _MUCH_BYTES and not any(job.urgent for job in self._jobs)
            left = (max(until, self._rest_until_s) if rests else until) - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return

    def _group(self) -> list[Job]:
        group: list[Job] = []
        total = 0
        while self._jobs and (not group or total + self._jobs[0].bytes <= _GROUP_BYTES):
            job = self._jobs.popleft()
            total += job.bytes
            group.append(job)
        self.bytes -= total
        return group

    def close(self) -> bool:
        """Nothing more goes in; what is in comes out. False: it was closed before."""
        with self._changed:
            before, self._closed = self._closed, True
            self._changed.notify_all()
            return not before
