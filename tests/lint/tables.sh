#!/bin/sh
# The tables of the code are in the docs: every operation, error code and
# four-letter word has its place in docs/wire-protocol.md. Usage: tables.sh
# SOURCE_DIR
cd "${1:-${srcdir:-.}}" || exit 99
page=docs/wire-protocol.md
failed=0

missing() {
    echo "$page: $1 is missing"
    failed=1
}

# Multi-line entries of an X-macro joined, one per line.
entries() { # FILE START-OF-ENTRY
    sed 's/\\$//' "$1" | tr -s ' \n' '  ' | grep -o "X($2[^)]*)"
}

ops=$(entries proto/client_op.h '[A-Z_0-9]*, -*[0-9]*, "[^"]*", "' |
    sed 's/X([A-Z_0-9]*, \(-*[0-9]*\), "\([^"]*\)".*/\1:\2/')
codes=$(entries proto/client_op.h 'ZK_[A-Z_]*, ' |
    sed 's/X(ZK_[A-Z_]*, \(-*[0-9]*\),.*/\1/')
words=$(sed -n '/^static const char words/,/^};/p' proto/frame.c |
    grep -o '"[a-z]*"' | tr -d '"')
[ -n "$ops" ] && [ -n "$codes" ] && [ -n "$words" ] || {
    echo 'tables: the tables of proto/ were not found'
    exit 1
}

for op in $ops; do
    number=${op%%:*} name=${op#*:}
    grep -qE "^\| $number \| $name \|" $page ||
        grep -qE "(^|[ (])$number $name( |\$)" $page ||
        missing "operation $number $name"
done
for code in $codes; do
    grep -qE "^\| $code \| " $page || missing "error code $code"
done
for word in $words; do
    grep -qw "$word" $page || missing "four-letter word $word"
done
[ $failed = 0 ] && echo 'tables: ok'
exit $failed
