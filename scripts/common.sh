# shellcheck shell=sh disable=SC2154
# Shared by quickstart and runtests: installing what is missing, building out
# of tree. Sourced with $root set to the source tree.

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# need PURPOSE...: installs the packages of scripts/packages that are missing.
need() {
    wanted=
    for purpose in "$@"; do
        wanted="$wanted $(sed -n "s/^$purpose: //p" "$root/scripts/packages" |
            tr '\n' ' ')"
    done
    missing=
    for package in $wanted; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null |
            grep -q '^install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "these Debian packages are missing:$missing"
    say "installing:$missing"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            die "run as root, or install yourself:$missing"
        as_root=sudo
    fi
    log=$(mktemp)
    # A machine may never have fetched the package lists.
    # shellcheck disable=SC2086 # words
    if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends $missing >"$log" 2>&1; then
        { $as_root apt-get update &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
                --no-install-recommends $missing; } >"$log" 2>&1 || {
            cat "$log" >&2
            die "could not install:$missing"
        }
    fi
    rm -f "$log"
}

# configured DIR [configure arguments]: a build directory that is ready.
configured() {
    dir=$1
    shift
    [ -x "$root/configure" ] && [ -f "$root/Makefile.in" ] ||
        (cd "$root" && autoreconf -fi >build-autoreconf.log 2>&1) || {
        cat "$root/build-autoreconf.log" >&2
        die "autoreconf failed"
    }
    mkdir -p "$dir"
    [ -f "$dir/Makefile" ] ||
        (cd "$dir" && "$root/configure" -q "$@" >configure.log 2>&1) || {
        tail -n 30 "$dir/configure.log" >&2
        die "configure failed (the log is $dir/configure.log)"
    }
}

# built DIR TARGET...: one target after the other, quiet unless one fails.
built() {
    dir=$1
    shift
    for target in "$@"; do
        make -C "$dir" -j"$(nproc)" "$target" >"$dir/make.log" 2>&1 || {
            tail -n 60 "$dir/make.log" >&2
            die "the build failed (the log is $dir/make.log)"
        }
    done
}
