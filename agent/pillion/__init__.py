# SPDX-License-Identifier: Apache-2.0
"""pillion: rides inside an application's process and tells what it does. The public names are those of api.py."""

from __future__ import annotations

__all__: list[str] = []
