#!/bin/sh
# Runs a whole ensemble on this machine, in the foreground: writes a zoo.cfg for
# each server, starts them all, says how to connect and who leads, and stops all
# of them on Ctrl-C. quickstart calls it.
#
#   scripts/ensemble.sh --bin CORRALD [--servers N] [--observers N]
#                       [--base-port P] [--data DIR]
#
# Server I has the client port P+I-1, the quorum port 707 above and the election
# port 1707 above that: 2181, 2888, 3888 for the first one. DIR/extra.cfg, when
# it is there, is added to each zoo.cfg. Exit status: 0 after Ctrl-C or SIGTERM
# when every server ended cleanly.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"

bin=
servers=3
observers=0
base_port=2181
dir=./corral-data/ensemble

number() { # NAME TEXT LEAST MOST
    case $2 in
        '' | *[!0-9]* | ??????* | 0?*) die "$1: not a number: $2" ;;
    esac
    if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        die "$1: $2 is not between $3 and $4"
    fi
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1: its value is missing, or it is no option"
    case $1 in
        --bin) bin=$2 ;;
        --servers) servers=$2 ;;
        --observers) observers=$2 ;;
        --base-port) base_port=$2 ;;
        --data) dir=$2 ;;
        *) die "no such option: $1" ;;
    esac
    shift 2
done
[ -x "$bin" ] || die "--bin: no such program: $bin"
number --servers "$servers" 1 9
number --observers "$observers" 0 9
[ "$servers" -gt 1 ] || [ "$observers" = 0 ] ||
    die "observers need at least two servers"
all=$((servers + observers))
number --base-port "$base_port" 1 $((65535 - 1707 - all + 1))
bin=$(cd "$(dirname "$bin")" && pwd)/${bin##*/}
mkdir -p "$dir" || exit 1
dir=$(cd "$dir" && pwd)

client_port() {
    echo $((base_port + $1 - 1))
}

# Whether somebody listens on a TCP port of this machine.
in_use() {
    hex=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port=":$hex" '$4 == "0A" &&
            substr($2, length($2) - 4) == port { found = 1 }
            END { exit !found }'
}

check_ports() {
    taken=
    for id in $(seq $all); do
        port=$(client_port "$id")
        for use in "0 clients" "707 quorum" "1707 election"; do
            at=$((port + ${use%% *}))
            in_use $at &&
                taken="$taken $at (server $id, ${use#* });"
        done
    done
    [ -z "$taken" ] || die "ports in use:${taken%;}: choose another --base-port"
}

# What a directory was made for it stays: members do not change by themselves.
check_members() {
    if [ -f "$dir/members" ]; then
        read -r had_servers had_observers <"$dir/members"
        [ "$had_servers $had_observers" = "$servers $observers" ] ||
            die "$dir holds an ensemble of --servers $had_servers" \
                "--observers $had_observers: start that, or choose another" \
                "--data"
    else
        echo "$servers $observers" >"$dir/members"
    fi
}

write_configs() {
    for id in $(seq $all); do
        mkdir -p "$dir/$id/data" || exit 1
        echo "$id" >"$dir/$id/data/myid"
        {
            echo "# Written at each start; more settings go into extra.cfg in"
            echo "# the directory above."
            printf 'dataDir=%s/%s/data\n' "$dir" "$id" | sed 's/\\/\\\\/g'
            echo "tickTime=2000"
            echo "initLimit=10"
            echo "syncLimit=5"
            # All clients come from one address, and all servers fill one disk.
            echo "maxClientCnxns=0"
            echo "diskReserve=64M"
            echo "4lw.commands.whitelist=*"
            for other in $(seq $all); do
                port=$(client_port "$other")
                role=participant
                [ "$other" -le "$servers" ] || role=observer
                printf 'server.%d=127.0.0.1:%d:%d:%s;127.0.0.1:%d\n' "$other" \
                    $((port + 707)) $((port + 1707)) $role "$port"
            done
            [ ! -f "$dir/extra.cfg" ] || cat "$dir/extra.cfg"
        } >"$dir/$id/zoo.cfg"
    done
}

# pid_1, pid_2, ...: the processes, 0 when one ended. No other process has a hand
# in that: Ctrl-C may end it.
role_known=
for id in $(seq $all); do
    eval "pid_$id=0"
done

is_running() { # ID
    eval "pid=\$pid_$1"
    # shellcheck disable=SC2154 # eval
    [ "$pid" != 0 ] && kill -0 "$pid" 2>/dev/null
}

# Its exit status, once.
collect() { # ID
    eval "pid=\$pid_$1; pid_$1=0"
    wait "$pid"
}

start_all() {
    for id in $(seq $all); do
        log=$dir/$id/corrald.log
        [ ! -f "$log" ] || mv "$log" "$log.1"
        "$bin" "$dir/$id/zoo.cfg" >"$log" 2>&1 </dev/null &
        eval "pid_$id=$!"
    done
}

# leading, following or observing; empty when it is none of them.
role_of() { # ID
    tail -c 65536 "$dir/$1/corrald.log" | awk '
        match($0, / event=(leading|following|observing|not_serving) /) {
            role = substr($0, RSTART + 7, RLENGTH - 8)
        }
        END { if (role != "not_serving") print role }'
}

# Says who leads, whenever that is news.
say_leader() {
    leader=
    for id in $(seq $all); do
        is_running "$id" && [ "$(role_of "$id")" = leading ] && leader=$id
    done
    if [ -n "$leader" ] && [ "$leader" != "$role_known" ]; then
        say "server $leader leads"
        role_known=$leader
    fi
}

# Those whose process is gone are reported once; the others go on. Ctrl-C ends
# them and reaches us, in either order.
look_after() {
    left=0
    for id in $(seq $all); do
        if is_running "$id"; then
            left=$((left + 1))
            continue
        fi
        [ "$pid" != 0 ] || continue
        nap 0.2
        [ -z "$stop" ] || return 0
        collect "$id"
        status=$?
        [ "$role_known" != "$id" ] || role_known=
        say "server $id ended with status $status; the end of" \
            "$dir/$id/corrald.log:"
        tail -n 10 "$dir/$id/corrald.log" | sed 's/^/    /'
        say "this one again: $bin $dir/$id/zoo.cfg >>$dir/$id/corrald.log 2>&1"
    done
    [ $left -gt 0 ]
}

# Sleeps so that a signal is noticed at once.
nap() { # SECONDS
    sleep "$1" &
    napping=$!
    wait $napping 2>/dev/null
    kill $napping 2>/dev/null
}

any_running() {
    for id in $(seq $all); do
        is_running "$id" && return 0
    done
    return 1
}

# SIGTERM to all, after half a minute SIGKILL. Whether all ended cleanly.
stop_all() {
    trap '' INT TERM HUP
    trap - EXIT
    failed=0
    tenths=0
    for id in $(seq $all); do
        is_running "$id" && kill "$pid" 2>/dev/null
    done
    while any_running && [ $tenths -lt 300 ]; do
        nap 0.1
        tenths=$((tenths + 1))
    done
    for id in $(seq $all); do
        is_running "$id" && kill -9 "$pid" 2>/dev/null
        [ "$pid" != 0 ] || continue
        collect "$id"
        status=$?
        [ $status = 0 ] || {
            failed=1
            say "server $id ended with status $status (log:" \
                "$dir/$id/corrald.log)"
        }
    done
    return $failed
}

say_how() {
    hosts=
    for id in $(seq $all); do
        hosts="$hosts${hosts:+,}127.0.0.1:$(client_port "$id")"
    done
    say "servers: $servers, observers: $observers; zoo.cfg, data and log of" \
        "each below $dir:"
    for id in $(seq $all); do
        role=
        [ "$id" -le "$servers" ] || role=" (observer)"
        say "    server $id$role: clients on 127.0.0.1:$(client_port "$id")," \
            "log $dir/$id/corrald.log"
    done
    say "Connect to $hosts"
    say "    from kazoo.client import KazooClient"
    say "    kz = KazooClient(\"$hosts\"); kz.start()"
    say "    print(kz.create(\"/hello-\", b\"\", sequence=True))"
    say "Ctrl-C stops all of them."
}

check_members
check_ports
write_configs
stop=
trap 'stop=yes' INT TERM HUP
trap stop_all EXIT
start_all
say_how
while [ -z "$stop" ]; do
    say_leader
    nap 1
    [ -n "$stop" ] || look_after || die "no server is left"
done
say "stopping"
stop_all || exit 1
say "stopped"
