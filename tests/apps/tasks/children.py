# SPDX-License-Identifier: Apache-2.0
"""Children that are other programs: by posix_spawn, vfork, shells, subprocess with all that may be set before the exec.

Some are storms: hundreds at once, from several threads, while this process records spans without pause.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from census import census
from opentelemetry import trace

tracer = trace.get_tracer("children")
PYTHON_CHILD = "from opentelemetry import trace; trace.get_tracer('child').start_span('in child').end(); print('child')"


def run(*command: str, **options: object) -> None:
    with tracer.start_as_current_span("run"):
        done = subprocess.run(command, capture_output=True, text=True, **options)
        print(command[0].rpartition("/")[2], sorted(options), done.returncode, done.stdout, done.stderr, flush=True)


def storm(count: int) -> None:
    """Children of /bin/true, a few at a time, with spans around and between."""
    failed = 0
    for _ in range(count // 10):
        with tracer.start_as_current_span("ten"):
            pids = [os.posix_spawn("/bin/true", ["true"], os.environ) for _ in range(10)]
            failed += sum(os.waitpid(pid, 0)[1] for pid in pids)
    failures.append(failed)


def forks(count: int) -> None:
    """Children by fork and exec, with Python code in between: subprocess can't use vfork then."""
    for _ in range(count):
        with tracer.start_as_current_span("forked"):
            subprocess.run(["/bin/true"], preexec_fn=os.getpid, check=True)


many, threads = int(sys.argv[1]), 4
failures: list[int] = []
run("/bin/true")
run("/bin/sh", "-c", "ls -l /proc/self/fd | grep -c '^l'; exit 4")  # the descriptors that a child gets
run("/bin/sh", "-c", "kill -KILL $$", start_new_session=True)
run("/bin/cat", "/proc/self/comm", close_fds=False)
if sys.version_info < (3, 12):  # later versions warn of preexec_fn beside threads, as they should
    run("/bin/echo", "preexec", preexec_fn=os.getpid)
run("/bin/sh", "-c", "trap", restore_signals=False)
run(sys.executable, "-c", PYTHON_CHILD)
run(sys.executable, "-I", "-c", "print('isolated')")
with os.popen("echo popen") as output:
    print(os.system("exit 3"), output.read().strip(), flush=True)
storms = [threading.Thread(target=storm, args=(many // threads,)) for _ in range(threads)]
for each in storms:
    each.start()
for each in storms:
    each.join()
forks(many // 20)
print("failures", failures)
census("at the end")
