#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes .venv with pillion in place (agent/ on its path), the collector's libraries and the tools of the checks.
# Done again only when pyproject.toml changed: the Makefile compares it with .venv/.ready.
set -eu
. "$(dirname "$0")/python.sh"

mkdir -p build
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "installing the Python packages into .venv (first time: a minute or two; log: build/pip.log)"
if ! .venv/bin/python -m pip install --disable-pip-version-check -e '.[collector,dev]' >build/pip.log 2>&1; then
    tail -n 15 build/pip.log >&2
    echo "pip failed; the whole log: build/pip.log" >&2
    exit 1
fi
touch .venv/.ready
