# SPDX-License-Identifier: Apache-2.0
# To be sourced: sets $python to a Python that can build and run everything here (3.11 or newer), or ends with a message.
# PYTHON=… names one; otherwise the newest of the usual names wins.
cd "$(dirname "$0")/.."
python=""
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    echo "No Python 3.11 or newer found. Install one (apt-get install python3), or name one: make PYTHON=/path/to/python" >&2
    exit 2
fi
