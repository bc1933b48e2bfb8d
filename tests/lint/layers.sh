#!/bin/sh
# Includes point down: DESIGN 3.1's table as patterns over #include lines.
# Usage: layers.sh SOURCE_DIR
src=${1:-${srcdir:-.}}
cd "$src" || exit 99
failed=0

# check FOLDER "ours allowed" "system allowed" [FILE "more system headers"]...
pure='assert inttypes limits stdalign stdarg stdbool stddef stdint stdio stdlib string'

allowed() { # WORD LIST
    set -f # a * in the list is a pattern, not the files here
    for item in $2; do
        case $1 in $item) set +f && return 0 ;; esac
    done
    set +f
    return 1
}

check() {
    folder=$1 ours=$2 system=$3
    for file in "$folder"/*.c "$folder"/*.h; do
        [ -f "$file" ] || continue
        extra=$(extra_for "$file")
        for inc in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
            case $inc in
                *.pb-c.h) dir=pb ;;
                config.h) continue ;;
                *) dir=${inc%%/*} ;;
            esac
            if [ "$dir" = pb ]; then
                case $file in
                    proto/hello.c | proto/peer.c | proto/peer_body.[ch] | \
                        proto/txn.c | proto/record.c | proto/pb.c) continue ;;
                esac
                echo "$file: includes \"$inc\": only hello.c, peer*.c, txn.c, record.c, pb.c may"
                failed=1
            elif ! allowed "$dir" "$ours"; then
                echo "$file: includes \"$inc\": $folder/ may not see $dir/"
                failed=1
            fi
        done
        for inc in $(sed -n 's/^#include <\([^>]*\)>.*/\1/p' "$file"); do
            name=${inc%.h}
            allowed "$name" "$system $extra" || {
                echo "$file: includes <$inc>: not a header of $folder/"
                failed=1
            }
        done
    done
}

extra_for() {
    case $1 in
        base/clock.c) echo time ;;
        base/check.c) echo execinfo ;;
        base/log.c) echo time unistd ;;
        proto/address.c) echo arpa/inet ;;
        proto/txn.c | proto/record.c) echo 'protobuf-c/*' ;;
        session/auth.c) echo arpa/inet openssl/evp ;;
    esac
}

check base 'base' "$pure"
check proto 'base proto' "$pure"
check zab 'base proto zab' "$pure"
check znode 'base proto znode' "$pure"
check session 'base proto session' "$pure"
check store 'base proto store' "$pure errno fcntl unistd dirent malloc \
leveldb/c sys/file sys/stat sys/types sys/uio sys/statvfs"
check replica 'base proto zab znode session replica' "$pure"
check server 'base proto replica store server' '*'
check client-lib 'base proto client-lib' '*'
check tools 'base proto store client-lib tools' '*'

# Only the inspection header and the interface of replica/ are for server/.
if grep -n '#include "replica/' server/*.c server/*.h 2>/dev/null |
    grep -v -e "replica/replica.h" -e 'replica/inspect.h'; then
    echo 'server/: only replica/replica.h and replica/inspect.h'
    failed=1
fi
[ $failed = 0 ] && echo 'layers: ok'
exit $failed
