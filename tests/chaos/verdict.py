# SPDX-License-Identifier: Apache-2.0
"""verdict: holds three things against each other once everything is stopped, process by process and to the span.

The accounts (truth.py) say which numbers were ended, the store's files which of them arrived, and the ledger (the rows
of `ends`) how many pillion says it recorded, stored and dropped. None of the three knows of the others.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from tests.chaos import truth

Who = tuple[int, int]  # pid and start ticks


@dataclass
class Arrived:
    """What the store has of one thread of one process."""

    rows: int
    distinct: int
    highest: int
    certain: int  # of those whose end had returned


@dataclass
class Verdict:
    """The sums, and every fault as a sentence."""

    processes: int = 0
    ended: int = 0
    stored: int = 0
    missing: int = 0
    open: int = 0
    ledgers: int = 0
    recorded: int = 0
    ledger_stored: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    spans: int = 0  # rows of the store, numbered or not, without the unfinished
    unfinished: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        return not self.faults


class Store:
    """The files of a data folder, read without their collector."""

    def __init__(self, data: Path) -> None:
        self.db = duckdb.connect()
        self.db.execute("SET threads = 2")
        names = []
        for number, path in enumerate(sorted(data.glob("*.duckdb"))):
            self.db.execute(f"ATTACH '{path}' AS p{number} (READ_ONLY)")
            names.append(f"p{number}")
        self.names = names
        rows = " UNION ALL ".join(f"SELECT * FROM {name}.spans" for name in names)
        self.db.execute(f"CREATE VIEW spans AS {rows}")
        kept = " UNION ALL ".join(f"SELECT resource_id, pid, attributes FROM {name}.resources" for name in names)
        self.db.execute(f"CREATE VIEW resources AS SELECT DISTINCT ON (resource_id) * FROM ({kept})")

    def arrived(self, accounts: list[truth.Account]) -> dict[tuple[str, int], Arrived]:
        """For each cell of each account; also for cells that nobody wrote."""
        self.db.execute("CREATE TEMP TABLE cells (key VARCHAR, cell INTEGER, ended BIGINT)")
        cells = [(one.key, at, cell[1]) for one in accounts for at, cell in enumerate(one.cells)]
        if cells:
            keys, places, ended = zip(*cells, strict=True)
            self.db.execute(
                "INSERT INTO cells SELECT unnest(?::VARCHAR[]), unnest(?::INTEGER[]), unnest(?::BIGINT[])",
                [list(keys), list(places), list(ended)],
            )
        found = self.db.execute(
            'WITH numbered AS (SELECT trim(entries[1]."value", \'"\') AS key, entries[2]."value"::INTEGER AS cell,'
            f" entries[3].\"value\"::BIGINT AS number FROM spans WHERE entries[1].key = '{truth.KEY}')"
            " SELECT n.key, n.cell, count(*), count(DISTINCT number), max(number),"
            " count(DISTINCT number) FILTER (number <= coalesce(c.ended, 0))"
            " FROM numbered n LEFT JOIN cells c ON n.key = c.key AND n.cell = c.cell GROUP BY n.key, n.cell"
        ).fetchall()
        return {(row[0], row[1]): Arrived(*row[2:]) for row in found}

    def ledgers(self) -> list[dict[str, Any]]:
        """The last word on each ring."""
        rows = " UNION ALL ".join(
            f"SELECT process, service, recorded, stored, dropped FROM {n}.ends" for n in self.names
        )
        return [
            {"id": row[0], "service": row[1], "recorded": row[2], "stored": row[3], "dropped": json.loads(row[4])}
            for row in self.db.execute(rows).fetchall()
        ]

    def wrong_pids(self, accounts: list[truth.Account]) -> list[tuple[str, int]]:
        """Keys of which spans arrived under another process's name."""
        rows = self.db.execute(
            'SELECT DISTINCT trim(s.entries[1]."value", \'"\'), r.pid FROM spans s JOIN resources r USING (resource_id)'
            f" WHERE s.entries[1].key = '{truth.KEY}'"
        ).fetchall()
        right = {one.key: one.pid for one in accounts}
        return [(key, pid) for key, pid in rows if right.get(key, pid) != pid]

    def count(self) -> tuple[int, int]:
        """All spans that ended, and those that never did."""
        marked = "list_contains([entry.key for entry in entries], 'pillion.unfinished')"
        row = self.db.execute(f"SELECT count(*), count(*) FILTER ({marked}) FROM spans").fetchall()[0]
        return row[0] - row[1], row[1]

    def repeated_ids(self) -> int:
        """Span ids that are there more than once."""
        row = self.db.execute(
            "SELECT coalesce(sum(times - 1), 0) FROM (SELECT count(*) AS times FROM spans GROUP BY trace_id, span_id)"
            " WHERE times > 1"
        ).fetchall()[0]
        return int(row[0])


def judge(accounts: list[truth.Account], store: Store) -> Verdict:
    """The whole comparison."""
    ledgers = store.ledgers()
    verdict = Verdict(processes=len(accounts), ledgers=len(ledgers))
    losses = _ledgers(verdict, ledgers)
    arrived = store.arrived(accounts)
    missing, unsure, mixed = _accounts(verdict, accounts, arrived)
    for who, count in missing.items():
        counted = losses.get(who)
        if counted is None:
            if count:
                verdict.faults.append(f"process {who[0]}: {count} spans are missing, and it has no ledger")
        elif count > counted:
            verdict.faults.append(f"process {who[0]}: {count} spans are missing, {counted} were counted as dropped")
        elif count + unsure[who] < counted and not mixed[who]:
            verdict.faults.append(f"process {who[0]}: {counted} counted as dropped, only {count} are missing")
    known = {one.key for one in accounts}
    strangers = sum(each.rows for (key, _), each in arrived.items() if key not in known)
    if strangers:
        verdict.faults.append(f"{strangers} spans of processes that nobody knows")
    for key, pid in store.wrong_pids(accounts):
        verdict.faults.append(f"spans of {key} arrived as those of process {pid}")
    if repeated := store.repeated_ids():
        verdict.faults.append(f"{repeated} span ids are in the store more than once")
    verdict.spans, verdict.unfinished = store.count()
    if verdict.spans != verdict.ledger_stored:
        verdict.faults.append(f"{verdict.spans} spans in the store, {verdict.ledger_stored} by the ledger")
    return verdict


def _ledgers(verdict: Verdict, ledgers: list[dict[str, Any]]) -> dict[Who, int]:
    """Each must balance in itself. What each process lost, in all."""
    losses: Counter[Who] = Counter()
    for one in ledgers:
        pid, _, ticks = str(one["id"]).partition("-")
        lost = sum(one["dropped"].values())
        losses[int(pid), int(ticks.partition(".")[0])] += lost
        recorded, stored = one["recorded"] or 0, one["stored"] or 0
        verdict.recorded += recorded
        verdict.ledger_stored += stored
        verdict.dropped.update(one["dropped"])
        if recorded != stored + lost:
            verdict.faults.append(
                f"process {one['id']} ({one['service']}): recorded {recorded} = stored {stored} + dropped {lost}"
                f" {one['dropped']} is off by {recorded - stored - lost}"
            )
    return dict(losses)


def _accounts(
    verdict: Verdict, accounts: list[truth.Account], arrived: dict[tuple[str, int], Arrived]
) -> tuple[dict[Who, int], dict[Who, int], dict[Who, bool]]:
    """What is missing of each process, how many of its spans are unsure, and whether it has others too."""
    missing: dict[Who, int] = defaultdict(int)
    unsure: dict[Who, int] = defaultdict(int)
    mixed: dict[Who, bool] = {}
    for account in accounts:
        who = (account.pid, account.start_ticks)
        mixed[who] = account.mixed
        unsure[who] += account.open
        missing[who] += 0
        for at, (begun, ended) in enumerate(account.cells):
            came = arrived.get((account.key, at), Arrived(0, 0, 0, 0))
            missing[who] += ended - came.certain
            verdict.stored += came.distinct
            if came.rows != came.distinct:
                verdict.faults.append(f"process {account.pid}: {came.rows - came.distinct} spans arrived twice")
            if came.highest > begun:
                verdict.faults.append(f"process {account.pid}: number {came.highest} arrived, only {begun} were begun")
    verdict.ended = sum(account.ended for account in accounts)
    verdict.open = sum(account.open for account in accounts)
    verdict.missing = sum(missing.values())
    return missing, unsure, mixed
