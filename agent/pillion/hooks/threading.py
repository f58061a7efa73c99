# SPDX-License-Identifier: Apache-2.0
"""threading: what runs in another thread runs under the span that sent it there: a threading.Thread's `run`, and
what is given to a ThreadPoolExecutor (run_in_executor and to_thread use it) or to multiprocessing's ThreadPool.

No span is made. A pool's own threads and processes begin without one, since they serve everybody; nothing is linked
over a queue, or over a pipe to another process.
"""

from __future__ import annotations

from pillion.patch import CARRY, DETACH, START, Target

_POOL = "multiprocessing.pool:"
TARGETS = {
    "threading:_start_new_thread": Target(START, optional=True),  # up to 3.12
    "threading:_start_joinable_thread": Target(START, optional=True),  # since 3.13
    "gevent.thread:start_new_thread": Target(START),  # what monkey.patch_all() puts in their place
    "gevent.thread:start_joinable_thread": Target(START, optional=True),
    "concurrent.futures.thread:ThreadPoolExecutor.submit": Target(CARRY),
    "concurrent.futures.process:ProcessPoolExecutor.submit": Target(DETACH),
    _POOL + "ThreadPool.apply_async": Target(CARRY),
    _POOL + "ThreadPool._map_async": Target(CARRY, optional=True),
    _POOL + "ThreadPool.imap": Target(CARRY),
    _POOL + "ThreadPool.imap_unordered": Target(CARRY),
    _POOL + "Pool.__init__": Target(DETACH),
}
