#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds a CPython on musl, as Alpine's images have one:  scripts/musl-python.sh [FOLDER]      (default: build/musl-python)
# With zlib, OpenSSL and libffi linked in, and pip; it may be moved to any other place. Everything comes from the
# distribution's source packages and is compiled with musl-gcc, about five minutes on two cores. The second time its work is
# found done. Needs the packages gcc, make, musl-tools, linux-libc-dev and perl; exit code 2 says that one of them is missing.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
target=${1:-$here/build/musl-python}
if [ -x "$target/bin/python3" ]; then
    echo "a Python on musl is in $target"
    exit 0
fi
"$here"/scripts/system.sh musl
for command in apt-get gcc make musl-gcc perl tar; do
    command -v "$command" >/dev/null ||
        { echo "musl-python: '$command' is missing (apt-get install gcc make musl-tools perl)" >&2 && exit 2; }
done

mkdir -p "$here/build" "$(dirname "$target")"
work=$(mktemp -d "$here/build/musl.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/bin" "$work/include" "$work/deps"
log=$here/build/musl-python.log

# Of the kernel's headers musl has none of its own; gcc behind musl-gcc answers for glibc; and CPython's setup.py adds the
# system's folders, which are glibc's.
machine=$(uname -m)
ln -s /usr/include/linux /usr/include/asm-generic "$work/include/"
ln -s "/usr/include/$(gcc -print-multiarch)/asm" "$work/include/asm"
cat >"$work/bin/musl-cc" <<END
#!/bin/sh
for word in "\$@"; do
    shift
    case "\$word" in
    --print-multiarch | -print-multiarch) echo $machine-linux-musl && exit ;;
    -I/usr/include* | -I/usr/local/include* | -L/usr/lib* | -L/lib* | -L/usr/local/lib*) continue ;;
    esac
    set -- "\$@" "\$word"
done
exec musl-gcc -w -idirafter $work/include "\$@"
END
chmod +x "$work/bin/musl-cc"
export CC="$work/bin/musl-cc" MAKEFLAGS="-j$(nproc)"

# The compilers' words go to the log; what is shown when it fails is the end of it.
step() {
    echo "musl-python: $1"
    shift
    "$@" >>"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "musl-python: this failed: $*   (the whole log: $log)" >&2
        exit 1
    }
}
# unpack NAME: the upstream source of the package, into $work/NAME
unpack() {
    mkdir "$work/$1"
    tar -xf "$(ls "$work/get/$1"_*.orig.tar.* | grep -v '\.asc$')" -C "$work/$1" --strip-components=1
    cd "$work/$1"
}

: >"$log"
TAR_ONLY=1 step "getting the sources" "$here/scripts/source-package.sh" "$work/get" python3.11 zlib libffi openssl
unpack zlib
CFLAGS="-O2 -fPIC" step zlib sh -c "./configure --static --prefix=$work/deps && make install"
unpack libffi
CFLAGS="-O2 -fPIC" step libffi sh -c "./configure --build=$machine-linux-gnu --host=$machine-linux-musl --disable-shared \
    --disable-docs --disable-multi-os-directory --prefix=$work/deps && make install"
unpack openssl
step "OpenSSL (the longest)" sh -c "./Configure linux-$machine no-shared no-module no-engine no-legacy no-async no-dso \
    no-tests no-ui-console --prefix=$work/deps --libdir=lib --openssldir=/etc/ssl && make build_libs && make install_dev"
unpack python3.11
export CPPFLAGS="-I$work/deps/include" LDFLAGS="-L$work/deps/lib" PKG_CONFIG_LIBDIR="$work/deps/lib/pkgconfig"
step CPython sh -c "./configure --build=$machine-linux-musl --prefix=$target --with-openssl=$work/deps \
    --disable-test-modules OPT='-DNDEBUG -fwrapv -O1' && make && make install DESTDIR=$work/out"
"$work/out$target/bin/python3" -c 'import ctypes, pip, ssl, zlib'
rm -rf "$work/out$target"/lib/libpython*.a "$work/out$target"/lib/python3*/config-*/*.a
# A line for the shell, which Python takes for a string: the commands run the interpreter beside them, wherever that is.
for script in $(grep -lI "^#!$target/bin/python" "$work/out$target"/bin/*); do
    sed -i '1c #!/bin/sh\n'"'''exec' \"\$(dirname \"\$0\")/python3\" \"\$0\" \"\$@\"\n' '''" "$script"
done
mv "$work/out$target" "$target"
echo "a Python on musl is in $target"
