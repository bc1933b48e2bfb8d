"""Histories: what clients asked and were told. One file per client process, a
line of JSON per row. The first row is an object that says who wrote the file;
all others are arrays of COLUMNS:

inv, ret   microseconds of CLOCK_MONOTONIC: when the request was handed to the
           socket, when the answer was taken from it (or the connection lost)
actor      a logical client, "0.reg": it has one session at a time, does its
           rows in the order of the file, and its zxid never goes back
session    id of the session; conn: number of the actor's connection
op         as in zkwire.OPS, or open, lost, expired, abandoned, event, anomaly
path       or None; args: what was asked (see workload_actors.py)
status     0, ZooKeeper's error, or None: unknown, the connection was lost
result     what the answer said; zxid: of its header (None: not known)
server     "host:port"

Rows stand in the order of arrival. A file that its process finished ends with
the row "end"; without it more may have been sent than is written."""

import json
import os
import time

COLUMNS = ('inv', 'ret', 'actor', 'session', 'conn', 'op', 'path', 'args',
           'status', 'result', 'zxid', 'server')
INV, RET, ACTOR, SESSION, CONN, OP, PATH, ARGS, STATUS, RESULT, ZXID, SERVER \
    = range(len(COLUMNS))
FLUSH_S = 0.2
FLUSH_ROWS = 200


def now_us():
    return time.monotonic_ns() // 1000


class Writer:
    def __init__(self, path, process):
        self.file = open(path, 'a')
        self.encode = json.JSONEncoder(separators=(',', ':')).encode
        self.rows = []
        self.flushed = time.monotonic()
        self.counts = {'ops': 0, 'unknown': 0, 'refused': 0, 'lost': 0,
                       'expired': 0}
        self.file.write(json.dumps({'process': process,
                                    'columns': COLUMNS}) + '\n')
        self.file.flush()

    def row(self, inv, ret, actor, session, conn, op, path=None, args=None,
            status=0, result=None, zxid=None, server=None):
        self.rows.append(self.encode((inv, ret, actor, session, conn, op, path,
                                      args, status, result, zxid, server)))
        counts = self.counts
        if op in ('lost', 'expired'):
            counts[op] += 1
        elif status is None:
            counts['unknown'] += 1
        elif status:
            counts['refused'] += 1
        else:
            counts['ops'] += 1
        if len(self.rows) >= FLUSH_ROWS:
            self.flush()

    def flush(self):
        if self.rows:
            self.rows.append('')
            self.file.write('\n'.join(self.rows))
            self.file.flush()
            self.rows = []
        self.flushed = time.monotonic()

    def flush_if_due(self):
        if time.monotonic() - self.flushed > FLUSH_S:
            self.flush()

    def end(self):
        now = now_us()
        self.row(now, now, '', 0, 0, 'end')
        self.flush()
        self.file.close()


def files(directory):
    return [os.path.join(directory, name)
            for name in sorted(os.listdir(directory))
            if name.startswith('history-') and name.endswith('.jsonl')]


def read(path):
    """The rows, as lists. A last line that is not whole is left out."""
    with open(path) as file:
        for line in file:
            if not line.endswith('\n'):
                return
            if line.startswith('['):
                yield json.loads(line)


def process_of(path):
    with open(path) as file:
        return json.loads(file.readline())['process']
