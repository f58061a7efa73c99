# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: applications under load that are killed and forked, a collector that is stopped, cut off and starved.

python -m tests.chaos [--seconds 300] [--seed N] [--rate 4500] [--json] [--verbose] [--keep]
python -m tests.chaos --spans 10000000     so many spans in all, as fast as they come, of processes killed at random
Exit codes: 0 balanced to the span, 1 not, 2 wrong usage, 130 ended by Ctrl-C and balanced.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys

from tests.chaos.flood import flood
from tests.chaos.node import node
from tests.chaos.run import chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=None, help="to do the same again (default: any)")
    parser.add_argument("--rate", type=int, default=4500, help="numbered spans a second of the producers")
    parser.add_argument("--spans", type=int, default=0, help="a flood of so many spans instead")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--verbose", action="store_true", help="each thing that is done, as it is done")
    parser.add_argument("--keep", action="store_true", help="leave the folders for a look when it doesn't balance")
    wanted = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if wanted.seed is None else wanted.seed

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    failed = [wanted.keep]
    progress(f"seed {seed}")
    megabytes = 0 if wanted.spans else 512 + int(wanted.seconds * wanted.rate / 1000)
    with node(megabytes, keep=lambda: failed[0]) as one:
        if wanted.keep:
            progress(f"folders: {one.folder} {one.run_dir.parent}")
        say = progress if wanted.verbose else _nothing
        if wanted.spans:
            report = flood(one, wanted.spans, seed, progress)
        else:
            report = chaos(one, wanted.seconds, seed, wanted.rate, say, progress)
        failed[0] = wanted.keep and not report.verdict.balanced
    print(json.dumps(report.as_json(), indent=2) if wanted.json else report.as_text(), flush=True)
    if not report.verdict.balanced:
        return 1
    return 130 if any("Ctrl-C" in note for note in report.notes) else 0


def _nothing(line: str) -> None:
    pass


if __name__ == "__main__":
    code = 130
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main()
    except KeyboardInterrupt:
        print("interrupted before there was anything to compare", file=sys.stderr)
    sys.stdout.flush()
    os._exit(code)  # threads of a run that was interrupted twice shall not hold it up
