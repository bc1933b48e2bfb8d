#!/bin/sh
# The pure archives keep no state and call nothing of the world, so that any
# number of replicas fit in one process. Usage: purity.sh BUILD_DIR
build=${1:-.}
failed=0
banned='time|clock_gettime|gettimeofday|rand|srand|random|getenv|open|open64|openat|fopen|socket|connect|bind|read|write|fsync|fdatasync|sleep|usleep|nanosleep|pthread_[a-z_]*|event_(add|del|new|free|assign|active|base_[a-z_]*)|evbuffer_[a-z_]*|leveldb_[a-z_]*'

for lib in base proto zab znode session replica; do
    archive=$build/$lib/lib$lib.a
    [ -f "$archive" ] || {
        echo "$archive is missing"
        exit 1
    }
    # base/'s clock, log and check are for the world above.
    nm -A "$archive" 2>/dev/null |
        grep -v -E '(clock|log|check)\.o:|pb-c\.o:' >"$build/purity.tmp"
    if grep -E " U ($banned)\$" "$build/purity.tmp"; then
        echo "$lib/: calls into the world"
        failed=1
    fi
    # Sections, not nm's letter: .data.rel.ro is constant after loading.
    if objdump -t "$archive" 2>/dev/null | awk -v lib="$lib" '
        /^lib|\.o:/ { object = $1 }
        object ~ /(clock|log|check)\.o:/ || object ~ /pb-c\.o:/ { next }
        $0 ~ / O \.(data|bss|tdata|tbss)[ \t]/ || $0 ~ / O \*COM\*/ {
            print lib "/ " object " " $0; found = 1
        }
        END { exit !found }'; then
        echo "$lib/: mutable data"
        failed=1
    fi
done
rm -f "$build/purity.tmp"
[ $failed = 0 ] && echo 'purity: ok'
exit $failed
