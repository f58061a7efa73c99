# SPDX-License-Identifier: Apache-2.0
"""Python children by subprocess, a few at a time, each with one query; how they ended is printed as a sum."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

CHILD = "import sqlite3; database = sqlite3.connect(':memory:'); database.execute('SELECT 1'); database.close()"


def child(number: int) -> int:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True)
    return done.returncode or len(done.stdout + done.stderr)


with ThreadPoolExecutor(4) as pool:
    print("failed", sum(pool.map(child, range(int(sys.argv[1])))))
database = sqlite3.connect(":memory:")
database.execute("SELECT 1")
database.close()
