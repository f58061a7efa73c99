# SPDX-License-Identifier: Apache-2.0
"""Which container an instance was in: as it told itself, or as the process reader saw it (processes_points.py)."""

from __future__ import annotations

from collections.abc import Iterable

from pillion_collector.query import Reads, value_of

ATTRIBUTE = "container.id"
_ASKED = f"""SELECT instance, any_value(attributes['{ATTRIBUTE}']) FROM resources
    WHERE list_contains($instances, instance) AND attributes['{ATTRIBUTE}'] IS NOT NULL GROUP BY instance"""


def containers_of(store: Reads, instances: Iterable[str | None]) -> dict[str, str]:
    """service.instance.id -> container.id, of those that were in one."""
    wanted = sorted({one for one in instances if one})
    rows = store.query(_ASKED, {"instances": wanted}) if wanted else []
    return {row[0]: value for row in rows if isinstance(value := value_of(row[1]), str)}
