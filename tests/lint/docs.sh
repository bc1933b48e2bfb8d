#!/bin/sh
# Each key of the configuration is in docs/configuration.md with its class, each
# operation in docs/compat.md, each four-letter word in docs/operations.md.
# Usage: docs.sh SOURCE_DIR
cd "${1:-${srcdir:-.}}" || exit 99
failed=0
complain() {
    echo "$*"
    failed=1
}

# "class name" of each row of the table
keys=$(sed -n \
    -e 's/^    \(WORKS\|RANGE\|SECRET\)("\([^"]*\)".*/works \2/p' \
    -e 's/^    {\.name = "\([^"]*\)".*/works \1/p' \
    -e 's/^    IGNORED[A-Z_]*("\([^"]*\)".*/ignored \1/p' \
    -e 's/^    NOT_YET("\([^"]*\)".*/no-effect-yet \1/p' \
    -e 's/^    REFUSED[A-Z_]*("\([^"]*\)".*/refused \1/p' \
    server/config_keys.c)
[ "$(echo "$keys" | wc -l)" -gt 200 ] || complain 'config_keys.c: not read'
while read -r class key; do
    class=$(echo "$class" | tr - ' ')
    grep -qF -e "| \`$key\` | $class |" -e "| \`$key\` | $class, secret |" \
        docs/configuration.md ||
        complain "docs/configuration.md: no row of $key ($class)"
done <<EOF
$keys
EOF
sed -n 's/^| `\([^`]*\)` | \(works\|ignored\|no effect yet\|refused\).*/\1/p' \
    docs/configuration.md | while read -r key; do
    echo "$keys" | cut -d' ' -f2 | grep -qxF -e "$key" ||
        echo "docs/configuration.md: $key is not in config_keys.c"
done | grep . && failed=1

ops=$(sed -n 's/^    X([A-Z0-9_]*, -*[0-9]*, "\([A-Za-z0-9]*\)", .*/\1/p' \
    proto/client_op.h)
[ "$(echo "$ops" | wc -l)" -gt 30 ] || complain 'client_op.h: not read'
for op in $ops; do
    grep -q "^| \`$op\` | " docs/compat.md ||
        complain "docs/compat.md: no row of $op"
done

words=$(sed -n '/words\[\]/,/};/p' server/admin.c |
    sed -n 's/^    {"\([a-z]*\)".*/\1/p')
[ "$(echo "$words" | wc -l)" = 18 ] || complain 'admin.c: not read'
for word in $words; do
    grep -q "^| \`$word\` | " docs/operations.md ||
        complain "docs/operations.md: no row of $word"
done

[ $failed = 0 ] && echo 'docs: ok'
exit $failed
