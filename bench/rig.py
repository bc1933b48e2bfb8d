"""What the measuring scripts of ensembles share: ensembles of both kinds,
corral-bench on them, faults, and Markdown tables."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
for folder in ('interop', 'chaos'):
    sys.path.insert(0, os.path.join(ROOT, 'tests', folder))
import apache_server  # noqa: E402
from ensemble import Ensemble, EnsembleFailed, wait_for  # noqa: E402

# As users have them, not as the tests: segments of the usual size.
CONFIG = 'preAllocSize=65536\n'


def kinds(with_apache):
    """Apache first: what it does sets the rates for both."""
    if with_apache and not apache_server.available():
        raise SystemExit('Apache ZooKeeper is not installed')
    return ('apache', 'corral') if with_apache else ('corral',)


def bench_path():
    path = os.environ.get('CORRAL_BENCH')
    if not path:
        raise SystemExit('set CORRAL_BENCH to the path of corral-bench')
    return os.path.abspath(path)


@contextlib.contextmanager
def ensemble(kind, servers=3, observers=0, heap='1g', config='', **more):
    """Started and serving."""
    with Ensemble(servers=servers, observers=observers, kind=kind, heap=heap,
                  config=CONFIG + config, **more) as e:
        e.start()
        e.wait_serving()
        yield e


def hosts(members):
    return ','.join(m.hosts for m in members)


def bench(members, arguments, pids_of=None, seconds=None, warmup=None):
    """One run of corral-bench on these servers; its JSON. The CPU is that of
    pids_of, else of the members."""
    pids = ','.join(str(m.pid) for m in pids_of or members)
    command = [bench_path(), '-s', hosts(members), '-p', pids, '--json',
               '--no-progress']
    if seconds is not None:
        command += ['-t', str(seconds)]
    if warmup is not None:
        command += ['-w', str(warmup)]
    done = subprocess.run(command + arguments.split(), stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit('corral-bench %s: status %d: %s' % (
            arguments, done.returncode, done.stdout.decode()))
    return json.loads(done.stdout)


class Gap:
    """corral-bench gap: writes by resumed sessions while things happen."""

    def __init__(self, members, arguments):
        self.process = subprocess.Popen(
            [bench_path(), '-s', hosts(members), '--json', '--no-progress',
             '--marks', '--keep', 'gap'] + arguments.split(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'running\n':
            raise SystemExit('corral-bench gap did not begin')

    def mark(self, name):
        self.process.stdin.write(name + '\n')
        self.process.stdin.flush()

    def finish(self):
        """Its JSON; what was wrong is in there, whatever its status."""
        out, _ = self.process.communicate()
        if not out:
            raise SystemExit('corral-bench gap failed')
        return json.loads(out)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


WRONG = ('expired', 'lost', 'twice', 'zxids_back', 'refused', 'unverified',
         'unanswered')


def wrongs(result):
    """What must be 0 after a fault that leaves a quorum."""
    return ['%s=%d' % (name, result[name]) for name in WRONG if result[name]]


def zxid(member):
    return int(member.info(5).get('Zxid', '0'), 16)


def wait_in_sync(e, member, deadline_s=120):
    """Until it serves and shows what the leader had when this was called."""
    goal = zxid(e.leader(deadline_s))
    if goal & 0xffffffff == 0:
        goal = 0  # a new epoch in which nothing was written yet

    def there():
        if not member.alive():
            raise EnsembleFailed('%r ended: %s' % (
                member, member.log_text()[-2000:]))
        info = member.info()
        return info.get('Mode') in ('follower', 'leader', 'observer') and \
            int(info.get('Zxid', '0'), 16) >= goal

    wait_for(there, '%r to be in sync' % member, deadline_s)


def wait_writing(e, count=500, deadline_s=60):
    """Until so many more transactions are committed."""
    goal = zxid(e.leader(deadline_s)) + count
    wait_for(lambda: zxid(e.leader(deadline_s)) >= goal, 'writes', deadline_s)


def wait_all_in_sync(e, deadline_s=120):
    for member in e.servers:
        wait_in_sync(e, member, deadline_s)


def timed(call, *arguments):
    began = time.monotonic()
    call(*arguments)
    return time.monotonic() - began


def shown(value):
    if isinstance(value, str):
        return value
    if value >= 1000:
        return '{:,.0f}'.format(value)
    return '%.3g' % value


class Table:
    """Work | figure | Apache | Corral | ratio, as docs/bench.md has it."""

    def __init__(self):
        print('| work | figure | Apache | Corral | ratio |')
        print('|---|---|---|---|---|', flush=True)

    def row(self, work, figure, figures, better='less'):
        """figures: {kind: list of measured}. The medians are printed; gives
        Corral's as a part of Apache's, None without Apache."""
        medians = {kind: statistics.median(values)
                   for kind, values in figures.items() if values}
        apache, corral = medians.get('apache'), medians.get('corral')
        ratio = corral / apache if apache and corral is not None else None
        shape = '%.2f x' if better == 'less' else '%.1f x'
        print('| %s | %s | %s | %s | %s |' % (
            work, figure, '-' if apache is None else shown(apache),
            '-' if corral is None else shown(corral),
            '-' if ratio is None else shape % ratio), flush=True)
        return ratio

    def plain(self, work, figure, before, after, ratio):
        """Corral with itself; the columns are before and after."""
        print('| %s | %s | whole: %s | %s | %.2f x |' % (
            work, figure, shown(before), shown(after), ratio), flush=True)


class Verdict:
    """Bars, and whether they hold."""

    def __init__(self):
        self.failed = []

    def bar(self, text, holds):
        print('bar: %s: %s' % (text, 'held' if holds else 'NOT HELD'),
              flush=True)
        if not holds:
            self.failed.append(text)

    def status(self):
        return 1 if self.failed else 0
