# SPDX-License-Identifier: Apache-2.0
"""orders: what is in stock and what was sold. Django on PostgreSQL, behind gunicorn."""
