#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# CPython 3.14 and 3.15 with their headers, from Debian's newest suite, unpacked in build/newer: nothing is installed.
# They run by the loader and the libc of that suite, through build/newer/usr/bin/run-pythonX.Y, so any Linux will do.
set -eu
cd "$(dirname "$0")/.."
suite=forky versions="3.14 3.15" target=build/newer
[ ! -f "$target/.ready" ] || exit 0

packages="libc6 zlib1g libexpat1 libssl3t64 libffi8 libsqlite3-0 libbz2-1.0 liblzma5 libuuid1 libzstd1 libgcc-s1"
for version in $versions; do
    packages="$packages python$version-minimal libpython$version-minimal libpython$version-stdlib libpython$version-dev"
done
architecture=$(dpkg --print-architecture 2>/dev/null) || {
    echo "newer-pythons.sh: no dpkg here" >&2
    exit 1
}
rm -rf "$target"
scripts/debs.sh "$suite" "$architecture" "$target" $packages # word splitting is meant
loader=$(cd "$target" && ls usr/lib*/ld-linux-*.so.* | head -n 1)
libraries=$(cd "$target/usr/lib" && ls -d ./*-linux-gnu | head -n 1)
for version in $versions; do
    # The header that asks for the architecture's own is replaced by that one: an include path less.
    cp "$target/usr/include/${libraries#./}/python$version/pyconfig.h" "$target/usr/include/python$version/pyconfig.h"
    cat >"$target/usr/bin/run-python$version" <<END
#!/bin/sh
here=\${0%/*}
exec "\$here/../../$loader" --argv0 "\$0" --library-path "\$here/../lib/$libraries" "\$here/python$version" "\$@"
END
    chmod +x "$target/usr/bin/run-python$version"
    "$target/usr/bin/run-python$version" -c 'import sqlite3, ssl, sys; print("unpacked:", sys.version.split()[0])'
done
touch "$target/.ready"
