# SPDX-License-Identifier: Apache-2.0
"""canary: is this interpreter fit for the module? The same program with it and without, compared, before it goes live.

Each check is one question with one answer. What can't be asked (an interpreter without sqlite3, a command whose output
differs from run to run anyway) is said, and does not count against it.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import tempfile
from typing import Any, Callable, NamedTuple, Sequence

from pillion_inject import Trouble, canary_receive
from pillion_inject.canary_run import Place, Road, Run

ABOUT = """import platform, sys
sys.stdout.write("%s %s %s" % (platform.python_implementation(), platform.python_version(), sys.executable))"""
MEMORY = "print([line for line in open('/proc/self/status') if line.startswith('VmRSS')][0].split()[1])"


class Check(NamedTuple):
    """One question's answer. `ok` None: told, not judged."""

    name: str
    ok: bool | None
    said: str


class Options(NamedTuple):
    """What the command line asks for."""

    command: Sequence[str]
    pairs: int = 5
    seconds: float = 10.0
    max_start_ms: float | None = None
    max_rss_mb: float | None = None


class Verdict(NamedTuple):
    """All answers."""

    python: str
    road: Road
    checks: list[Check]
    start_ms: float | None
    rss_mb: float | None

    @property
    def why(self) -> list[str]:
        """What speaks against it."""
        return [f"{check.name}: {check.said}" for check in self.checks if check.ok is False]


def examine(options: Options, road: Road) -> Verdict:
    """Asks everything. Raises Trouble when the command is no Python or nothing can be run."""
    folder = _folder()
    receiver = None
    try:
        receiver = canary_receive.Receiver(canary_receive.path_for(folder))
        return _Examination(options, Place(folder, road, dict(os.environ)), receiver).verdict()
    except OSError as error:
        raise Trouble(f"{folder}: {error.strerror or error}: name another place by TMPDIR") from error
    finally:
        if receiver is not None:
            receiver.close()
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> str:
    """A new folder, on a tmpfs where there is one: rings need it, and a read-only image has no other place."""
    try:
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) and "TMPDIR" not in os.environ else None
        return tempfile.mkdtemp(prefix="pillion-canary-", dir=base)
    except OSError as error:
        raise Trouble(f"TMPDIR: {error.strerror or error}: name a folder that can be written") from error


class _Examination:
    """The course of one examination."""

    def __init__(self, options: Options, place: Place, receiver: canary_receive.Receiver) -> None:
        self.options, self.place, self.receiver = options, place, receiver
        self.python = options.command[0]
        self.checks: list[Check] = []
        self.start_ms: float | None = None
        self.rss_mb: float | None = None

    def verdict(self) -> Verdict:
        about = self.about()
        if self.module():
            self.alike("output", ["exit"], spans=True)
            self.alike("exception", ["raise"])
            self.alike("signal", ["signal"])
            self.alike("warnings", ["exit"], before=["-W", "error"])
        else:
            self.alike("output", ["exit"])  # what stands aside must not be felt either
        if len(self.options.command) > 1:
            self.command()
        if not any(check.ok is False for check in self.checks):
            self.costs()
        self.log()
        return Verdict(about, self.place.road, self.checks, self.start_ms, self.rss_mb)

    def add(self, name: str, ok: bool | None, said: str) -> bool:
        self.checks.append(Check(name, ok, said))
        return ok is not False

    def about(self) -> str:
        """The interpreter in words. Raises Trouble if it's none."""
        ended = self.place.run([self.python, "-c", ABOUT], traced=False)
        said = ended.out.decode("utf-8", "replace").strip()
        if ended.code or len(said.split()) < 3:
            raise Trouble(f"{self.python}: is no Python interpreter ({ended.how()}): name one, and after it what it "
                          "runs, as in `-- python3 -m gunicorn app:app`", 2)  # fmt: skip
        return said

    def module(self) -> bool:
        """Does it get in at all?"""
        ended = self.place.run([self.python, "-c", "pass"], traced=True)
        records = self.place.records()
        self.place.rings()
        if ended.code or ended.out or ended.err:
            return self.add("module", False, f"`-c pass`: {ended.how()}{_first(ended.err)}; 0 and silent without")
        if not records:
            return self.add("module", False, f"there is no trace of it: {self.place.road.path} was not loaded, or left "
                            "the process alone without a word")  # fmt: skip
        if records[-1].get("decision") != "injected":
            return self.add("module", False, f"stands aside: {_reason(records[-1])}{_remedy(records[-1])}")
        return self.add("module", True, f"is loaded, by {self.place.road.variable}")

    def alike(self, name: str, args: list[str], before: Sequence[str] = (), spans: bool = False) -> None:
        """The probe with and without."""
        line = [self.python, *before, self.place.probe, *args, self.place.road.variable]
        socket = canary_receive.path_for(self.place.folder)
        bare, traced = (self.place.run(line, with_it, PILLION_SOCKET=socket) for with_it in (False, True))
        _, left, came = self.place.records(), self.place.rings(), self.receiver.taken()
        unlike = _unlike([bare], traced)
        self.add(name, not unlike, unlike or f"as without it: {len(bare.out) + len(bare.err)} bytes, {bare.how()}")
        if not spans:
            return
        if left or not came:
            self.add("spans", False, f"{len(came)} came" + (f", {left} processes couldn't send theirs" if left else ""))
        else:
            self.add("spans", True, f"{len(came)} came: {', '.join(sorted(set(came))[:4])} …")

    def command(self) -> None:
        """The caller's own command: twice without, to know what differs anyway, and with it until it's alike."""
        bare, traced = [self.own(False), self.own(False)], self.own(True)
        records, _ = self.place.records(), self.place.rings()
        alike = [each for each in SIGHTS if each[0](bare[0]) == each[0](bare[1])]
        sight, what = alike[0] if alike else (_end, ", the output aside, which differs from run to run anyway")
        unlike = _unlike(bare, traced, sight)
        if unlike and sight is not _exact and traced.code == bare[0].code:  # by chance, or not?
            bare.append(self.own(False))
            unlike = _unlike(bare, self.own(True), sight)
        told = ", when told to" if traced.cut else ""
        self.add("command", not unlike, unlike or f"as without it{what}: {traced.how()}{told}")
        aside = [record for record in records if record.get("decision") != "injected"]
        self.add("processes", None, f"{len(records)} of Python in it, {len(records) - len(aside)} with the module"
                 + "".join(f"; {_reason(record)}" for record in aside[:3]))  # fmt: skip

    def own(self, traced: bool) -> Run:
        return self.place.run(self.options.command, traced, self.options.seconds)

    def costs(self) -> None:
        """Start-up and memory, by pairs that take turns; the first pair warms the caches up and doesn't count."""
        took, cost, grew, starts = [], [], [], []
        for number in range(self.options.pairs + 1):
            pair = [self.place.run([self.python, "-c", MEMORY], traced) for traced in (False, True)]
            self.place.records(), self.place.rings()
            if pair[1].code or pair[0].code:
                self.add("start-up", False, f"one of {number + 1} starts: {pair[1].how()}, {pair[0].how()} without")
                return
            if number:
                took.append((pair[1].seconds - pair[0].seconds) * 1e3)
                cost.append((pair[1].cpu - pair[0].cpu) * 1e3)
                grew.append((int(pair[1].out) - int(pair[0].out)) / 1024)
                starts.append(pair[0].seconds * 1e3)
        self.start_ms, self.rss_mb = statistics.median(took), statistics.median(grew)
        base, pairs = statistics.median(starts), len(took)
        text = f"{self.start_ms:+.1f} ms to {base:.1f} ms, CPU {statistics.median(cost):+.1f} ms"
        for name, value, most, said in (
            ("start-up", self.start_ms, self.options.max_start_ms, text),
            ("memory", self.rss_mb, self.options.max_rss_mb, f"{self.rss_mb:+.1f} MB resident"),
        ):
            too_much = most is not None and value > most
            limit = f": more than {most:g}" if too_much else ""
            self.add(name, not too_much if most is not None else None, f"{said} (median of {pairs} pairs){limit}")

    def log(self) -> None:
        """What pillion itself had to say."""
        try:
            with open(self.place.log, encoding="utf-8", errors="replace") as file:
                lines = sorted({line.partition(": ")[2].strip() for line in file})
        except OSError:
            return
        self.add("log", None, "; ".join(lines)[:300])


def _reason(record: dict[str, Any]) -> str:
    code, reason = record.get("code") or "", record.get("reason") or ""
    return f"{code}: {reason}" if code and reason else str(code or reason or "no reason is given")


def _remedy(record: dict[str, Any]) -> str:
    """What to do about it, as `pillion why` says it; a bundle does without that table."""
    try:
        from pillion import reasons
    except ImportError:
        return ""
    code = str(record.get("code") or "")
    return f". {reasons.explain(code).do}" if code in reasons.REASONS else ""


Sight = Callable[[Run], Sequence[Any]]


def _exact(run: Run) -> tuple[bytes, bytes]:
    return run.out, run.err


def _masked(run: Run) -> tuple[bytes, bytes]:
    """Without numbers and addresses."""
    out, err = (re.sub(rb"0x[0-9a-fA-F]+|\d+", b"N", text) for text in (run.out, run.err))
    return out, err


def _sorted(run: Run) -> tuple[list[bytes], list[bytes]]:
    """Without the order, and without how often: who of several workers speaks first is chance."""
    out, err = (sorted(set(text.splitlines())) for text in _masked(run))
    return out, err


def _end(run: Run) -> tuple[()]:
    """Nothing but the exit code, which always counts."""
    return ()


SIGHTS: tuple[tuple[Sight, str], ...] = (
    (_exact, ""),
    (_masked, ", numbers aside"),
    (_sorted, ", numbers and order aside"),
)


def _unlike(bare: list[Run], traced: Run, sight: Sight = _exact) -> str:
    """What is different with the module from every run without, or nothing."""
    if all(each.code != traced.code for each in bare):
        return f"{traced.how()}, {bare[0].how()} without{_first(traced.err)}"
    if any(sight(each) == sight(traced) for each in bare):
        return ""
    for where, with_it, without in zip(("stdout", "stderr"), sight(traced), sight(bare[-1])):
        if with_it != without:
            lines = (each if isinstance(each, list) else each.splitlines() for each in (with_it, without))
            return f"{where} differs: {_difference(*lines)}"
    return "stdout and stderr differ"


def _difference(with_it: list[bytes], without: list[bytes]) -> str:
    """The first line of one that the other hasn't."""
    for one, other, text in ((with_it, without, "only with it"), (without, with_it, "only without")):
        for line in one:
            if line not in other:
                return f"{line.decode('utf-8', 'replace')[:160]!r} {text}"
    return "the order or number of lines"


def _first(err: bytes) -> str:
    lines = [line for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
    return f" ({lines[-1].strip()[:160]})" if lines else ""
