#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unpacks packages of any Debian suite and architecture into a folder; nothing is installed, no root is needed.
#   scripts/debs.sh SUITE ARCH FOLDER PACKAGE…       e.g. forky amd64 build/forky libpython3.14-dev python3.14-minimal
# The mirror is the one that this machine's apt uses for Debian, and apt checks the signatures as always; its state is
# private (build/debs/SUITE-ARCH). A package's dependencies are not followed: name what is needed.
set -eu
[ $# -ge 4 ] || {
    sed -n '3,6s/^# *//p' "$0" >&2
    exit 2
}
suite=$1 arch=$2
mkdir -p "$3"
target=$(cd "$3" && pwd)
shift 3
cd "$(dirname "$0")/.."

die() {
    echo "debs.sh: $*" >&2
    exit 1
}
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die "no apt here"
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian|Debian|//p' | head -n 1)
[ -n "$mirror" ] || die "this machine's apt knows no mirror of Debian (apt-get update?)"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keys" ] || die "the package debian-archive-keyring is missing"

state=$PWD/build/debs/$suite-$arch
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/get"
echo "deb [signed-by=$keys] $mirror $suite main" >"$state/sources.list"
# Nothing of the system's own may run or be written: no hooks after the update either.
for hook in APT::Update::Pre-Invoke APT::Update::Post-Invoke APT::Update::Post-Invoke-Success; do
    echo "#clear $hook;"
done >"$state/private.conf"
: >"$state/status"
apt() {
    apt-get -qq -c "$state/private.conf" -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::State::Lists="$state/lists" \
        -o Dir::Cache="$state/cache" -o APT::Architecture="$arch" -o APT::Architectures="$arch" \
        -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 -o Acquire::Languages=none "$@"
}
find "$state/lists" -name '*_Packages*' -mmin -600 2>/dev/null | grep -q . || apt update ||
    die "the suite $suite does not come from this machine's mirror"
missing=""
for package in "$@"; do
    ls "$state/get/${package}_"*.deb >/dev/null 2>&1 || missing="$missing $package"
done
# Word splitting is meant: one word, one package.
[ -z "$missing" ] || (cd "$state/get" && apt download $missing) || die "not to be had from $suite for $arch:$missing"
for package in "$@"; do
    dpkg-deb -x "$(ls "$state/get/${package}_"*.deb | tail -n 1)" "$target"
done
