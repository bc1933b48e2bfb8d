#!/bin/sh
# clang-tidy over our C files. Usage: tidy.sh SOURCE_DIR BUILD_DIR changed|all
# changed: what differs from the newest commit that is older than a day, or all
# when there is none.
src=$1 build=$2 which=$3
cd "$src" || exit 99
command -v clang-tidy >/dev/null 2>&1 || {
    echo 'tidy: skipped: clang-tidy is not installed'
    exit 77
}
files=$(find base proto zab znode session store replica server tools \
    -name '*.c' | sort)
if [ "$which" = changed ]; then
    base=$(git rev-list -1 --before='1 day ago' HEAD 2>/dev/null)
    if [ -n "$base" ]; then
        changed=$(git diff --name-only "$base" -- '*.c')
        files=$(for f in $files; do
            echo "$changed" | grep -qx "$f" && echo "$f"
        done)
    fi
fi
[ -n "$files" ] || {
    echo 'tidy: ok, nothing changed'
    exit 0
}
export build
echo "$files" | xargs -P "$(nproc)" -n 4 sh -c 'clang-tidy --quiet "$@" -- \
    -std=c11 -D_GNU_SOURCE -I. -I"$build" 2>&1 || echo "error: clang-tidy: $*"' \
    tidy | grep -v 'warnings generated' >"$build/tidy.out"
if grep -qE 'error:|warning:|Error' "$build/tidy.out"; then
    cat "$build/tidy.out"
    exit 1
fi
echo "tidy: ok, $(echo "$files" | wc -l) files"
