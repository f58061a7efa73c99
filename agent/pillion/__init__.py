# SPDX-License-Identifier: Apache-2.0
"""pillion: rides inside an application's process and tells what it does.

An application needs none of this. One that wants spans of its own: `pillion.span("name", key=value)` (see api.py).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pillion.api import current_span as current_span
    from pillion.api import flush as flush
    from pillion.api import set_attribute as set_attribute
    from pillion.api import span as span

__all__ = ["current_span", "flush", "set_attribute", "span"]


def __getattr__(name: str) -> object:
    """Loads the API when it's first used: the start of a process imports this package, and pays for nothing else."""
    if name not in __all__:
        raise AttributeError(f"module 'pillion' has no attribute {name!r}")
    from pillion import api

    globals()[name] = value = getattr(api, name)
    return value
