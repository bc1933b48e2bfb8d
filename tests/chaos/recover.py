#!/usr/bin/python3
"""A member that lost its data is a member again only with a whole copy.

    recover.py [NAME...] [--seed S]

    damaged    a byte of each kind of file of a follower is flipped, with a
               clean stop or a kill -9 before: it sets its data aside, keeps
               them, and comes back with everything
    emptied    its directory is emptied
    replaced   another, empty machine takes its id, then the leader's, too
    promised   committed on A and B, B loses its data, A is down: B and C serve
               nothing; when A is back everything acknowledged is there
    killed     a new member is killed, and the power cut, at any moment while it
               receives a copy and the others go on: never a mixture

Needs CORRALD, CORRAL_DUMP and SHIM (tests/support/shim.c, built)."""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, '..', 'interop'))
import shim_disk  # noqa: E402
import trees  # noqa: E402
import zkwire  # noqa: E402
from ensemble import Ensemble, wait_for  # noqa: E402

# Small segments, so that the log does not reach back to the beginning: a new
# member needs a snapshot.
CONFIG = 'tickTime=2000\npreAllocSize=1024\ndiskReserve=0\n' \
         'checkpointRecords=200\n'
DEADLINE_S = 90


class Wrong(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Wrong(text)


class Writer:
    """Creates /PREFIX0, /PREFIX1, ...; what was acknowledged is known."""

    def __init__(self, prefix, data=b'x' * 1000):
        self.prefix = prefix
        self.data = data
        self.acknowledged = set()
        self.number = 0
        self.stopping = False
        self.thread = None

    def write(self, member, count):
        """So many through this server, all acknowledged."""
        conn = zkwire.Conn(member.address, DEADLINE_S)
        check(conn.handshake(timeout=40000), 'no session')
        for at in range(0, count, 50):
            names = []
            for xid in range(at + 1, min(at + 50, count) + 1):
                names.append('/%s%d' % (self.prefix, self.number))
                conn.send_request(xid, 'create', path=names[-1],
                                  data=self.data)
                self.number += 1
            for name in names:
                reply = conn.read_reply(DEADLINE_S)
                check(reply is not None and reply[2] == 0,
                      'not written: %s: %r' % (name, reply))
                self.acknowledged.add(name)
        conn.call(count + 1, 'closeSession')
        conn.close()

    def run(self, ensemble):
        """In the background, wherever it goes, until stop()."""
        def loop():
            while not self.stopping:
                try:
                    self.write(ensemble.leader(), 20)
                except (OSError, Wrong, zkwire.Malformed):
                    time.sleep(0.05)  # no leader just now

        self.thread = threading.Thread(target=loop)
        self.thread.start()

    def stop(self):
        self.stopping = True
        self.thread.join()


def running(**options):
    ensemble = Ensemble(servers=3, config=CONFIG, **options)
    try:
        ensemble.start()
        return ensemble.wait_serving()
    except BaseException:
        print(ensemble.log_tails())
        ensemble.close()
        raise


def same_trees(ensemble, writers):
    """All have the same, and all that was acknowledged."""
    found = [trees.dump(m.address) for m in ensemble.servers]
    for member, tree in zip(ensemble.servers, found):
        for writer in writers:
            lost = writer.acknowledged - set(tree)
            check(not lost, '%r has lost %d, %s' % (
                member, len(lost), sorted(lost)[:3]))
        check(tree == found[0], '%r and %r have other trees' % (
            member, ensemble.servers[0]))


def purged(member):
    """Does its log begin later than the ensemble?"""
    names = [n for n in os.listdir(member.data_dir)
             if re.match(r'log\.\d+\.', n)]
    return names and min(int(n.split('.')[2], 16) for n in names) & \
        0xffffffff > 100


def fill(ensemble, writer):
    """So much that a new member needs a snapshot of several chunks."""
    writer.write(ensemble.servers[0], 4000)
    wait_for(lambda: all(purged(m) for m in ensemble.servers),
             'the logs to be purged', DEADLINE_S)


def back(member, writer, ensemble):
    """It serves again, and then counts: the third one may go."""
    member.wait_serving(DEADLINE_S)
    writer.write(member, 10)
    same_trees(ensemble, [writer])
    leader = ensemble.leader()
    other = next(m for m in ensemble.servers if m not in (leader, member))
    other.kill()
    writer.write(leader, 10)  # needs the vote of the one that is back
    other.start()
    other.wait_serving(DEADLINE_S)


def files(member):
    """One of each kind: path, and an offset in the middle of it."""
    found = {}
    for where, _, names in os.walk(member.data_dir):
        if 'damaged.' in where:
            continue
        for name in sorted(names):
            kind = 'log' if re.match(r'log\.\d', name) else \
                'table' if name.endswith('.ldb') else name.partition('-')[0]
            path = os.path.join(where, name)
            with open(path, 'rb') as f:
                size = len(f.read().rstrip(b'\0'))
            if kind in ('log', 'table', 'MANIFEST') and size > 2:
                found.setdefault(kind, (path, size // 2))
    return found


def flip(path, offset):
    with open(path, 'r+b') as f:
        f.seek(offset)
        old = f.read(1)
        f.seek(offset)
        f.write(bytes([old[0] ^ 0x41]))


def damaged(_):
    with running() as ensemble:
        writer = Writer('d')
        fill(ensemble, writer)
        kinds = ['log', 'table', 'MANIFEST', 'states']
        for number, kind in enumerate(kinds):
            member = ensemble.followers()[0]
            check(member.stop() == 0, 'not stopped') if number % 2 == 0 \
                else member.kill()
            if kind == 'states':
                named = 'state.0'
                for name in ('state.0', 'state.1'):
                    flip(os.path.join(member.data_dir, name), 40)
            else:
                path, offset = files(member)[kind]
                named = os.path.basename(path)
                flip(path, offset)
            begun = len(member.log_text())
            writer.write(ensemble.leader(), 50)
            member.start()
            back(member, writer, ensemble)
            lines = [l for l in member.log_text()[begun:].splitlines()
                     if 'damage_set_aside' in l]
            check(len(lines) == 1 and named in lines[0] and
                  'offset' in lines[0], '%s: %r' % (named, lines))
            kept = re.search(r'kept="?([^" ]+)', lines[0]).group(1)
            check(any(n.startswith('log.') for n in os.listdir(kept)) and
                  os.path.exists(os.path.join(kept, 'state.0')),
                  'not kept: %s' % os.listdir(kept))
            check(os.path.exists(os.path.join(member.data_dir, 'myid')),
                  'myid is gone')
        # It recovers no more: this start is one like all others.
        check(member.stop() == 0, 'not stopped')
        begun = len(member.log_text())
        member.start().wait_serving(DEADLINE_S)
        check('damage_set_aside' not in member.log_text()[begun:],
              'set aside again')
        return '%d kinds of damage' % len(kinds)


def emptied(_):
    with running() as ensemble:
        writer = Writer('e')
        fill(ensemble, writer)
        for number in range(2):
            member = ensemble.followers()[0]
            check(member.stop() == 0, 'not stopped') if number == 0 \
                else member.kill()
            member.wipe()
            writer.write(ensemble.leader(), 50)
            member.start()
            back(member, writer, ensemble)
        return '2 times'


def replaced(_):
    with running() as ensemble:
        writer = Writer('r')
        fill(ensemble, writer)
        for member in (ensemble.followers()[0], ensemble.leader()):
            member.kill()
            # The old machine's disk is nowhere near.
            os.rename(member.data_dir, member.data_dir + '.old')
            os.unlink(member.log_path)
            wait_for(lambda: ensemble.leader() is not member, 'a leader')
            member.start()
            back(member, writer, ensemble)
            shutil.rmtree(member.data_dir + '.old')
        return 'a follower and a leader'


def refuses(member):
    """No session, no read."""
    try:
        conn = zkwire.Conn(member.address, 3)
    except OSError:
        return True
    try:
        return not conn.handshake(timeout=10000)
    except (OSError, zkwire.Malformed):
        return True
    finally:
        conn.close()


def promised(_):
    schedules = 0
    for how in ('emptied', 'log damaged', 'states damaged', 'late'):
        with running() as ensemble:
            a, b, c = [ensemble.leader()] + ensemble.followers()
            writer = Writer('p')
            writer.write(a, 300)
            if how != 'late':
                c.kill()  # has all of that, and nothing of the rest
            else:
                c.pause()  # the same, and it wakes up at the worst moment
            writer.write(a, 300)
            b.kill()
            if how in ('emptied', 'late'):
                b.wipe()
            elif how == 'log damaged':
                flip(*files(b)['log'])
            else:
                for name in ('state.0', 'state.1'):
                    flip(os.path.join(b.data_dir, name), 40)
            a.kill()
            if how == 'late':
                b.start()
                c.resume()
            else:
                b.start()
                c.start()
            end = time.monotonic() + 6  # many elections
            while time.monotonic() < end:
                for member in (b, c):
                    check(member.alive(), '%r ended' % member)
                    check(member.mode() not in ('leader', 'follower'),
                          '%s: %r serves as %s' % (how, member, member.mode()))
                check(refuses(b) and refuses(c), '%s: a read is served' % how)
            a.start()
            ensemble.wait_serving(DEADLINE_S)
            same_trees(ensemble, [writer])
            writer.write(b, 20)
            back(b, writer, ensemble)
            schedules += 1
    return '%d ways to lose B' % schedules


def verify(directory):
    done = subprocess.run([os.environ['CORRAL_DUMP'], '--verify', directory],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60)
    return done.returncode, done.stdout.decode(errors='replace')


def staged(member):
    """A copy is there in part, and the server does not serve it."""
    return member.mode() is None and any(
        name.startswith('checkpoint.') for name in os.listdir(member.data_dir))


def killed(seed):
    draw = random.Random(seed)
    kills = cuts = amid = 0
    with running() as ensemble:
        writer = Writer('k')
        # 20 MB: a copy takes long enough to be killed in its middle.
        fill(ensemble, writer)
        for _ in range(4):
            writer.write(ensemble.leader(), 4000)
        member = ensemble.followers()[0]
        member.kill()
        member.wipe()
        disk = shim_disk.ShimDisk(os.environ['SHIM'], member.data_dir)
        member.env.update(disk.env)
        disk.delay_syncs(20000)
        small = Writer('w', b'y' * 100)
        small.run(ensemble)
        try:
            for _ in range(12):
                member.start()
                # Once a copy has begun to come; until well behind its end.
                end = time.monotonic() + 5
                while not (staged(member) or member.mode()) and \
                        time.monotonic() < end:
                    time.sleep(0.01)
                time.sleep(draw.random() ** 2)
                check(member.alive(), 'it ended by itself: %s' %
                      member.log_text()[-1000:])
                amid += staged(member)
                member.kill()
                kills += 1
                if draw.random() < 0.7:
                    disk.power_cut(draw.choice(['all', 'random']), draw)
                    cuts += 1
                status, text = verify(member.data_dir)
                check(status == 0, 'after kill %d: %s' % (kills, text))
                if draw.random() < 0.3:
                    member.wipe()  # once more from the beginning
                    disk.close()
                    disk = shim_disk.ShimDisk(os.environ['SHIM'],
                                              member.data_dir)
                    disk.delay_syncs(20000)
                    member.env.update(disk.env)
            member.start()
            member.wait_serving(DEADLINE_S)
        finally:
            small.stop()
        same_trees(ensemble, [writer, small])
        back(member, small, ensemble)
        member.kill()
        disk.close()
    check(amid > 0, 'no kill in the middle of a copy')
    return '%d kills, %d of them amid a copy, %d power cuts, %d writes ' \
        'meanwhile' % (kills, amid, cuts, len(small.acknowledged))


TESTS = {'damaged': damaged, 'emptied': emptied, 'replaced': replaced,
         'promised': promised, 'killed': killed}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('names', nargs='*', choices=list(TESTS) + [[]])
    parser.add_argument('--seed', type=int,
                        default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    failed = 0
    print('--seed %d' % args.seed, flush=True)
    for name in args.names or TESTS:
        try:
            print('%s: %s' % (name, TESTS[name](args.seed)), flush=True)
        except Wrong as e:
            print('%s: WRONG: %s' % (name, e), flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
