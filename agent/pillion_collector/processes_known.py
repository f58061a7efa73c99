# SPDX-License-Identifier: Apache-2.0
"""One process of the node, as the process reader knows it. The reader's thread writes it, others only look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psutil

from pillion_collector.ledger import Ledger
from pillion_collector.oom import Count
from pillion_collector.processes_find import Found
from pillion_collector.processes_read import Sample


@dataclass
class Process:
    """One process, alive or ended. `here`: its pid in our /proc, None when it isn't to be seen there."""

    found: Found
    here: int | None = None
    hidden: bool = False  # it lives, or lived, where /proc doesn't show it
    group: str | None = None  # the container's id in the path of its control group
    parent_pid: int | None = None
    started_ns: int | None = None
    alive: bool = False
    ended_ns: int | None = None
    exit: dict[str, Any] | None = None
    handle: psutil.Process | None = None
    pidfd: int = -1
    sample: Sample | None = None
    cpu: float | None = None
    ledger: Ledger | None = None  # of the rings that it has
    kills: Count | None = None  # of the OOM killer, when it ended
    leaving_s: float | None = None  # since when it is gone, and we wait to be told how
    oom: str | None = None  # the file that tells whether the OOM killer came

    @property
    def container(self) -> str | None:
        return self.group or self.found.container

    @property
    def pid(self) -> int:
        """As the node calls it; where it can't be seen, as it calls itself."""
        return self.here if self.here is not None else self.found.who.pid
