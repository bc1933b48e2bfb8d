#!/bin/sh
# clang-format over our C files. Usage: format.sh SOURCE_DIR
cd "${1:-${srcdir:-.}}" || exit 99
command -v clang-format >/dev/null 2>&1 || {
    echo 'format: skipped: clang-format is not installed'
    exit 77
}
find base proto zab znode session store replica server client-lib tools tests \
    -name '*.[ch]' 2>/dev/null | sort | xargs clang-format --dry-run -Werror &&
    echo 'format: ok'
