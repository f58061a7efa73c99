#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds native/ with the venv's CMake and ninja:  scripts/build.sh dev|asan|tsan|fuzz [TARGET…]
# dev puts the module and the collector's library beside their Python files; the others stay in build/NAME.
# Quiet when it works; ninja does only what changed.
set -eu
cd "$(dirname "$0")/.."
kind=$1
shift
bin=$PWD/.venv/bin

case $kind in
dev) options="" ;;
asan) options="-DPILLION_MODULE=OFF -DPILLION_TESTS=ON -DPILLION_SANITIZE=address" ;;
tsan) options="-DPILLION_MODULE=OFF -DPILLION_TESTS=ON -DPILLION_SANITIZE=thread" ;;
plain) options="-DPILLION_MODULE=OFF -DPILLION_TESTS=ON" ;;
fuzz) options="-DPILLION_MODULE=OFF -DPILLION_FUZZ=ON -DCMAKE_C_COMPILER=clang" ;;
*)
    echo "build.sh: there is no build '$kind' (dev, asan, tsan, plain, fuzz)" >&2
    exit 2
    ;;
esac

# nghttp2 is compiled in where its source can be had; else the system's library serves. Asked once, not at each build.
mkdir -p "build/$kind"
if [ ! -d build/nghttp2-src ] && [ ! -f build/nghttp2-src.failed ]; then
    native/fetch-nghttp2.sh >build/nghttp2.log 2>&1 || touch build/nghttp2-src.failed
fi

log=build/$kind.log
{
    { [ -f "build/$kind/build.ninja" ] ||
        "$bin/cmake" -S . -B "build/$kind" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
            -DPython_EXECUTABLE="$bin/python" $options; } &&
        "$bin/ninja" -C "build/$kind" "$@"
} >"$log" 2>&1 || {
    # The compiler's complaints without its command lines, or else the end of the log.
    grep -E 'error:|CMake Error' -A 6 "$log" | grep -v ' -c ' | head -n 60 >&2 || tail -n 30 "$log" >&2
    echo "the build failed; the whole log: $log" >&2
    exit 1
}
