#!/usr/bin/python3
"""Thousands of sessions lose their server at once and go on elsewhere: how long
until each is resumed, of Apache and of Corral.

    bench/moved.py [--sessions 5000] [--corral-only] [--rounds N]

All sessions are on one server of three, which is killed: a follower, then the
leader. A few of them write all the time. Needs CORRALD and CORRAL_BENCH. Exits
1 when a session of Corral's expired or a write was lost."""

import argparse
import sys

from rig import (Gap, Table, Verdict, ensemble, kinds, wait_all_in_sync,
                 wait_for, wrongs)


def another_leads(e, victim):
    return wait_for(lambda: [m for m in e.voters if m is not victim and
                             m.mode() == 'leader'], 'a leader', 60)


def open_sessions(e):
    """Clients that are connected, said by the servers."""
    return sum(int(m.info(5).get('Connections', '0')) for m in e.servers)


def move(e, victim, args):
    others = [m for m in e.servers if m is not victim]
    # The victim is the first: -s takes the order of the list.
    with Gap([victim] + others,
             '--to first -c %d -r %g --timeout 30000 -w 2' % (
                 args.sessions, args.rate)) as gap:
        gap.mark('moved')
        victim.kill()
        another_leads(e, victim)
        wait_for(lambda: open_sessions(e) >= args.sessions,
                 'all sessions to be open again', 120)
        result = gap.finish()
    victim.start()
    wait_all_in_sync(e)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sessions', type=int, default=5000)
    parser.add_argument('--rate', type=float, default=500)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--corral-only', action='store_true')
    args = parser.parse_args()
    names = ('follower', 'leader')
    figures = {name: {} for name in names}
    verdict = Verdict()
    for kind in kinds(not args.corral_only):
        with ensemble(kind) as e:
            for name in names * args.rounds:
                leader = e.leader()
                victim = leader if name == 'leader' else \
                    [m for m in e.voters if m is not leader][0]
                result = move(e, victim, args)
                figures[name].setdefault(kind, []).append(result)
                if kind == 'corral':
                    wrong = wrongs(result)
                    verdict.bar('%s: %d sessions resumed%s' % (
                        name, result['resumed'],
                        ''.join(': ' + w for w in wrong)), not wrong and
                        result['resumed'] >= args.sessions)
    table = Table()
    for name in names:
        def each(get):
            return {kind: [get(r) for r in results]
                    for kind, results in figures[name].items()}

        work = '{:,} sessions move, their server (the {}) was killed'.format(
            args.sessions, name)
        table.row(work, 'ms until all are resumed',
                  each(lambda r: r['marks'][1]['all_resumed_ms']))
        table.row(work, 'ms until one is, p50',
                  each(lambda r: r['time_to_resume_us']['p50'] / 1e3))
        table.row(work, 'sessions expired', each(lambda r: r['expired']))
        table.row(work, 'longest gap in their writes, ms',
                  each(lambda r: r['marks'][1]['longest_gap_ms']))
    return verdict.status()


if __name__ == '__main__':
    sys.exit(main())
