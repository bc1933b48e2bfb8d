#!/bin/sh
# File sizes, line lengths, tabs, marks without a name. Usage: size.sh SOURCE_DIR
cd "${1:-${srcdir:-.}}" || exit 99
failed=0
files=$(find base proto zab znode session store replica server client-lib tools \
    tests -name '*.[ch]' -o -name '*.def' 2>/dev/null | sort)

for file in $files; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 800 ]; then
        echo "$file: $lines lines: it has two jobs"
        failed=1
    fi
done
tab=$(printf '\t')
grep -n "$tab" $files && { echo 'tabs'; failed=1; }
grep -nE '^.{81,}' $files && { echo 'lines over 80 columns'; failed=1; }
grep -nE '(TODO|FIXME|XXX|HACK)($|[^(A-Za-z])' $files &&
    { echo 'marks without a name'; failed=1; }
[ $failed = 0 ] && echo 'size: ok'
exit $failed
