#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles libpillion.so:  native/preload.sh OUT ARCH CC [CC's ARGUMENT…]     ARCH: x86_64 | aarch64
# The one place of its flags, for the developer's build (CMake) and the bundle's (zig cc -target …) alike. LINKER=…
# links: for a compiler that doesn't pass all of them on to its own.
# No libc, no run-time library, no thread-local storage, nothing undefined but weak symbols, all of them bound at once.
# Few and small segments: each costs every program of a container a system call.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1 arch=$2
shift 2
case $arch in # marked, so that a program with shadow stacks or landing pads keeps them
x86_64) guard=-fcf-protection=full ;;
aarch64) guard=-mbranch-protection=standard ;;
*)
    echo "preload.sh: no architecture '$arch' (x86_64, aarch64)" >&2
    exit 2
    ;;
esac
cflags="-std=gnu11 -Os -g0 -ffreestanding -fno-builtin -fPIC -fvisibility=hidden $guard -fno-stack-protector
    -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer -U_FORTIFY_SOURCE
    -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wno-missing-field-initializers"
ldflags="-Wl,-soname,libpillion.so -Wl,-z,defs -Wl,-z,now -Wl,-z,norelro -Wl,-z,noexecstack -Wl,-z,nodelete
    -Wl,-z,noseparate-code -Wl,--hash-style=gnu -Wl,--build-id=none -Wl,-Bsymbolic"
cd "$here"
set -- "$@" $cflags # word splitting is meant here and below: one word, one flag
sources=$(ls preload*.c bare*.c rules*.c probation*.c record*.c)
if [ -z "${LINKER:-}" ]; then
    exec "$@" -nostdlib -shared $ldflags -o "$out" $sources
fi
objects=""
for source in $sources; do
    "$@" -c -o "$out.$source.o" "$source"
    objects="$objects $out.$source.o"
done
$LINKER -s -shared $(echo $ldflags | sed 's/-Wl,//g; s/,/ /g') -o "$out" $objects
rm -f $objects
