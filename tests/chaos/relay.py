# SPDX-License-Identifier: Apache-2.0
"""relay: stands on the run directory's socket, before the collector's own, and does what a bad day does to connections.

PASS: everything goes through. HANG: accepts and reads nothing. SLOW: a byte a second. REFUSE: nobody listens.
`cut` resets what is open, in the middle of whatever was said. A thread for each connection.
"""

from __future__ import annotations

import contextlib
import enum
import os
import select
import socket
import threading
import time
from pathlib import Path


class Mode(enum.Enum):
    PASS = "pass"
    HANG = "hang"
    SLOW = "slow"
    REFUSE = "refuse"


class Relay:
    """Listens on `front` for as long as it lives, and passes on to `behind` (where nobody may be)."""

    def __init__(self, front: Path, behind: Path) -> None:
        self.front = front
        self.behind = behind
        self.mode = Mode.PASS
        self.closing = False
        self.generation = 0  # of connections: those of an older one are cut
        self.accepted = 0
        self.threads: list[threading.Thread] = []
        self.listener: socket.socket | None = None
        self.accepter = threading.Thread(target=self._accept, daemon=True)
        self._listen()
        self.accepter.start()

    def become(self, mode: Mode) -> None:
        """From now on, for open connections too."""
        self.mode = mode
        if mode is Mode.REFUSE:
            self._deafen()
            self.cut()
        elif self.listener is None:
            self._listen()

    def cut(self) -> None:
        """Ends every connection at once."""
        self.generation += 1

    def close(self) -> None:
        self.closing = True
        self.cut()
        self._deafen()
        self.accepter.join(10)
        for thread in self.threads:
            thread.join(10)
        self.front.unlink(missing_ok=True)

    def _listen(self) -> None:
        self.front.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.front))
        listener.listen(256)
        listener.settimeout(0.1)
        self.listener = listener

    def _deafen(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.close()

    def _accept(self) -> None:
        while not self.closing:
            listener = self.listener
            if listener is None:
                time.sleep(0.02)
                continue
            with contextlib.suppress(OSError):  # nobody came, or it was closed meanwhile
                near, _ = listener.accept()
                self.accepted += 1
                self.threads = [thread for thread in self.threads if thread.is_alive()]
                thread = threading.Thread(target=self._serve, args=(near, self.generation), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _serve(self, near: socket.socket, generation: int) -> None:
        with near, socket.socket(socket.AF_UNIX) as far, contextlib.suppress(OSError):
            while self.mode is not Mode.PASS and generation == self.generation:
                time.sleep(0.02)
            far.settimeout(10)
            far.connect(str(self.behind))
            while generation == self.generation:
                if self.mode in (Mode.HANG, Mode.REFUSE):
                    time.sleep(0.02)
                    continue
                if not self._pass(near, far):
                    return

    def _pass(self, near: socket.socket, far: socket.socket) -> bool:
        """What lies there now; False at an end."""
        slow = self.mode is Mode.SLOW
        for source in select.select([near, far], [], [], 0.05)[0]:
            data = source.recv(1 if slow else 1 << 16)
            if not data:
                return False
            (far if source is near else near).sendall(data)
        if slow:
            time.sleep(1)
        return True


def free(path: Path) -> None:
    """Removes a socket that a killed owner left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
