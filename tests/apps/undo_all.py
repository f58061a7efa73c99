# SPDX-License-Identifier: Apache-2.0
"""Asks of every target whether it's wrapped, undoes all, and looks whether each is what it was."""

from __future__ import annotations

import importlib
import importlib.util
import sqlite3

import pillion.start
from pillion.hooks import HOOKS
from pillion.patch import Change


def found(address):
    module, _, path = address.partition(":")
    owner = importlib.import_module(module)
    *parents, name = path.split(".")
    for part in parents:
        owner = getattr(owner, part)
    return owner, name


engine = pillion.start.engine
targets = {address: target for hook in HOOKS for address, target in hook.load().TARGETS.items()}
addresses = [
    address
    for address in targets
    if not address.startswith("sqlalchemy.dialects.")  # their drivers aren't here
]
before: dict[str, Change] = {}
for address in list(addresses):
    if targets[address].optional and importlib.util.find_spec(address.partition(":")[0]) is None:
        print("absent", address)
        addresses.remove(address)
        continue
    owner, name = found(address)
    if targets[address].optional and not hasattr(owner, name):
        print("absent", address)
    for change in engine.changes:
        if change.owner is owner and change.name == name:
            assert vars(owner)[name] is change.replacement, address
            before[address] = change
            print("wrapped", address)
engine.undo()
for address, change in before.items():
    owner, name = found(address)
    assert vars(owner).get(name, change.original) is change.original, address
connection = sqlite3.connect(":memory:")
assert connection.execute("SELECT 1").fetchone() == (1,)
print("undone")
