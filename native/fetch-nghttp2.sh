#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Gets the distribution's own source of nghttp2, so that its C files can be compiled into the module (nghttp2.cmake).
#   native/fetch-nghttp2.sh [FOLDER]      default: build/nghttp2-src beside this checkout
# Works on Debian and Ubuntu, needs no root and no dpkg-dev (scripts/source-package.sh).
set -eu

die() {
    echo "fetch-nghttp2: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")/.." && pwd)
target=${1:-$here/build/nghttp2-src}
if [ -f "$target/lib/nghttp2_session.c" ]; then
    echo "nghttp2's source is already in $target"
    exit 0
fi
command -v apt-get >/dev/null || die "no apt-get here; unpack a release of nghttp2 into $target instead"
command -v patch >/dev/null || command -v git >/dev/null || die "the package 'patch' is missing (apt install patch)"

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$(dirname "$target")/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/src"
"$here/scripts/source-package.sh" "$work/get" nghttp2 || die "apt cannot fetch the source package nghttp2"

upstream=$(ls "$work"/get/nghttp2_*.orig.tar.* | grep -v '\.asc$' | head -n 1) || die "the source package looks strange"
tar -xf "$upstream" -C "$work/src" --strip-components=1
for extra in "$work"/get/nghttp2_*.debian.tar.*; do
    if [ -f "$extra" ]; then tar -xf "$extra" -C "$work/src"; fi
done

# The distribution's patches, security fixes among them; only those that touch the library matter and must apply.
if [ -f "$work/src/debian/patches/series" ]; then
    sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$work/src/debian/patches/series" | while read -r name _; do
        grep -q '^+++ [^/]*/lib/' "$work/src/debian/patches/$name" || continue
        if command -v patch >/dev/null; then
            patch -d "$work/src" -p1 -s --no-backup-if-mismatch <"$work/src/debian/patches/$name"
        else
            (cd "$work/src" && GIT_CEILING_DIRECTORIES="$work" git apply "debian/patches/$name")
        fi || die "the patch $name does not apply"
    done
fi

[ -f "$work/src/lib/nghttp2_session.c" ] || die "the source package has no lib/nghttp2_session.c"
rm -rf "$target"
mv "$work/src" "$target"
echo "nghttp2's source is in $target"
