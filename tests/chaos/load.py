#!/usr/bin/python3
"""Load of every kind on one corrald for some time: what the thread sanitizer
watches. Ends 0 when the server lived, answered all, and stopped cleanly.

    load.py [--seconds S]
"""

import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'interop'))
import corral_server  # noqa: E402

CONFIG = 'tickTime=2000\nmaxClientCnxns=0\npreAllocSize=4096\n' \
         '4lw.commands.whitelist=*\n'
LOADS = ('mixed -c 10 -d 20 --reads 50', 'connect -c 10',
         'create -c 4 -d 50 -k 200000', 'multi -c 4 -d 4 -b 2000',
         'watch -c 200', 'set -c 50', 'get -c 10 -d 100')
WORDS = ('srvr', 'stat', 'mntr', 'cons', 'dump', 'wchp', 'wchc', 'dirs', 'hash',
         'conf', 'envi', 'ruok')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=float, default=60)
    args = parser.parse_args()
    operations = restarts = number = 0
    with corral_server.CorralServer(CONFIG, deadline_s=60) as server:
        end = time.monotonic() + args.seconds
        while time.monotonic() < end:
            running = []
            for arguments in (LOADS[number % len(LOADS)],
                              LOADS[(number + 3) % len(LOADS)]):
                path = ' --path /load-%d-%d' % (number, len(running))
                running.append(subprocess.Popen(
                    [os.environ['CORRAL_BENCH'], '-s', server.hosts,
                     '--no-progress', '--json', '-t', '3', '-w', '0'] +
                    (arguments + path).split(), stdout=subprocess.PIPE))
            number += 1
            while any(p.poll() is None for p in running):
                for word in WORDS:
                    # Nothing watched, not 128 transactions yet: nothing to say.
                    assert server.word(word) or word in (
                        'wchp', 'wchc', 'hash'), word
            for process in running:
                out = process.stdout.read()
                assert process.wait() == 0, (process.args, out)
                operations += int(out.split(b'"operations": ')[1].split(
                    b',')[0])
            if number % 4 == 0:
                assert server.stop(60) == 0, server.log_text()[-2000:]
                server.start()
                restarts += 1
        assert server.stop(60) == 0, server.log_text()[-2000:]
        bad = [line for line in server.log_text().splitlines()
               if 'level=error' in line or 'WARNING: ThreadSanitizer' in line]
        assert not bad, bad[:5]
    print('%d operations, %d restarts, nothing found' % (operations, restarts))
    return 0


if __name__ == '__main__':
    sys.exit(main())
