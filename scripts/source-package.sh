#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Gets source packages of the distribution as they are:  scripts/source-package.sh FOLDER PACKAGE…   (TAR_ONLY=1: no patches)
# Works on Debian and Ubuntu, needs no root and no dpkg-dev. apt checks the signatures as always; its deb-src lines come
# from a private copy of the system's lists (.list and .sources alike), the system's configuration is only read.
set -eu

command -v apt-get >/dev/null || { echo "source-package: no apt-get here" >&2 && exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"

# Every "deb" line becomes a "deb-src" line, in a copy.
eval "$(apt-config shell main Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
for file in "${main:-/etc/apt/sources.list}" "${parts:-/etc/apt/sources.list.d}"/*.list; do
    [ -f "$file" ] || continue
    sed -n 's/^[[:space:]]*deb\(-src\)\{0,1\}\([[:space:]]\)/deb-src\2/p' "$file" | sort -u \
        >"$work/parts/$(basename "$file" .list).list"
done
for file in "${parts:-/etc/apt/sources.list.d}"/*.sources; do
    [ -f "$file" ] || continue
    sed 's/^[Tt]ypes:.*/Types: deb-src/' "$file" >"$work/parts/$(basename "$file")"
done

# Nothing of the system's own may run or be written: no hooks after the update either.
for hook in APT::Update::Pre-Invoke APT::Update::Post-Invoke APT::Update::Post-Invoke-Success; do
    echo "#clear $hook;"
done >"$work/private.conf"
apt() {
    apt-get -qq -c "$work/private.conf" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" \
        -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::IndexTargets::deb-src::Contents-deb::DefaultEnabled=0 \
        "$@"
}
apt update || echo "source-package: some package lists did not come; trying with the others" >&2
cd "$folder"
for package in "$@"; do
    apt source --download-only ${TAR_ONLY:+--tar-only} "$package" ||
        { echo "source-package: apt cannot fetch the source package $package" >&2 && exit 1; }
done
