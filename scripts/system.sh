#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sees that the system has what pip cannot bring:  scripts/system.sh build [test] [fuzz] [valgrind] [musl] [docker] [bundle]
# Looks for the thing itself (a header, a command), not for a package's name, so self-built ones count as well. What is
# missing is installed by apt as root or by passwordless sudo; else one message names the packages, and the exit code is 2.
# What only some tests need ("test", "fuzz", "valgrind", "bundle") is asked for but not insisted on: those tests then say what they lack.
set -eu
. "$(dirname "$0")/python.sh"

needed="" wished=""
need() { needed="$needed $1"; }
wish() { wished="$wished $1"; }
has() { command -v "$1" >/dev/null 2>&1; }
header() { echo "#include <$1>" | ${CC:-cc} -E - >/dev/null 2>&1; }
fuzzer() { echo "int LLVMFuzzerTestOneInput(void) { return 0; }" | clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null; }

for group in "$@"; do
    case $group in
    build)
        version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        has "${CC:-cc}" || need gcc
        header stdio.h || need libc6-dev
        "$python" -c 'import ensurepip, venv' 2>/dev/null || need "$version-venv"
        [ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || need "$version-dev"
        [ -f build/nghttp2-src/lib/nghttp2_session.c ] || header nghttp2/nghttp2.h || need libnghttp2-dev
        ;;
    test)
        has chromium || has chromium-browser || has google-chrome || wish chromium
        has chromedriver || wish chromium-driver
        has redis-server || wish redis-server
        has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wish postgresql
        has musl-gcc || wish musl-tools
        has strace || wish strace
        ;;
    fuzz)
        has clang || wish clang
        { has clang && fuzzer; } || wish "$(has clang && clang -dumpversion | sed 's/^\([0-9]*\).*/libclang-rt-\1-dev/' || echo libclang-rt-dev)"
        ;;
    valgrind)
        has valgrind || wish valgrind
        ;;
    musl)
        has musl-gcc || need musl-tools
        has make || need make
        has perl || need perl
        ;;
    bundle)
        has qemu-aarch64-static || has qemu-aarch64 || wish qemu-user-static
        ;;
    docker)
        { has docker && docker info >/dev/null 2>&1; } || has dockerd || need docker.io
        { has docker && docker compose version >/dev/null 2>&1; } || has docker-compose || need docker-compose
        has debootstrap || need debootstrap
        ;;
    *)
        echo "system.sh: there is no group '$group' (build, test, fuzz, valgrind, musl, docker, bundle)" >&2
        exit 2
        ;;
    esac
done
[ -n "$needed$wished" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    if has sudo && sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root=no; fi
fi
if has apt-get && [ "$as_root" != no ]; then
    echo "installing by apt:$needed$wished"
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p build
    $as_root apt-get -qq update >build/apt.log 2>&1 || true
    if [ -n "$needed" ]; then
        # Word splitting is meant: one word, one package.
        $as_root apt-get -qq -y --no-install-recommends install $needed >>build/apt.log 2>&1 || {
            tail -n 5 build/apt.log >&2
            echo "apt could not install:$needed   (the whole log: build/apt.log)" >&2
            exit 2
        }
    fi
    for package in $wished; do
        # Without an unversioned runtime package, Debian 12 has it only under clang's own version.
        $as_root apt-get -qq -y --no-install-recommends install "$package" >>build/apt.log 2>&1 ||
            { [ "$package" = libclang-rt-dev ] && fuzz_runtime=$(clang -dumpversion | sed 's/\..*//') &&
                $as_root apt-get -qq -y --no-install-recommends install "libclang-rt-$fuzz_runtime-dev" >>build/apt.log 2>&1; } ||
            echo "not to be had by apt: $package; the tests that need it will say so" >&2
    done
    exit 0
fi
if [ -n "$needed" ]; then
    echo "Missing on this system. Please install as root, then try again:" >&2
    echo "    apt-get install$needed$wished" >&2
    exit 2
fi
echo "Not on this system, the tests that need them will say so:$wished" >&2
