# SPDX-License-Identifier: Apache-2.0
"""`make test-docker`: sees that there is an engine and what to build from, then runs the tests of this folder.

An engine that is started here ends with the tests; one that ran before is left as it was found.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.docker import bases


def answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


@contextmanager
def engine() -> Iterator[None]:
    """A docker daemon: the one that is here, else one of ours."""
    if answers():
        yield
        return
    log = bases.ROOT / "build" / "dockerd.log"
    print(f"no docker daemon answers; starting one (log: {log})", flush=True)
    with open(log, "wb") as output:
        daemon = subprocess.Popen(["dockerd"], stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not answers():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"dockerd did not come up (root is needed; its log: {log})")
            time.sleep(0.5)
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


def main() -> int:
    with engine():
        bases.make()
        return pytest.main(["-q", "--timeout", "900", "tests/docker", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
