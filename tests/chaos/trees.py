"""Whole trees through a server's clients' port, and what differs between two."""

import collections
import struct
import time

import zkwire

DEPTH = 64  # requests on their way


class Unreadable(Exception):
    """The server did not give its tree."""


def dump(address, timeout_s=60):
    """{path: (data, acl, stat, children)} of all there is, behind a sync."""
    conn = zkwire.Conn(address, timeout_s)
    try:
        return _dump(conn, timeout_s)
    except (OSError, zkwire.Malformed, struct.error) as e:
        raise Unreadable('%s:%d: %r' % (address + (e,)))
    finally:
        conn.close()


def _dump(conn, timeout_s):
    if not conn.handshake(timeout=20000):
        raise Unreadable('no session')
    xid = 1
    reply, _ = conn.call(xid, 'sync', path='/')
    if reply is None or reply[2] != 0:
        raise Unreadable('sync: %r' % (reply,))
    tree = {}
    todo = collections.deque(['/'])
    waiting = {}  # xid of the first of three requests -> path
    while todo or waiting:
        while todo and len(waiting) < DEPTH:
            path = todo.popleft()
            waiting[xid + 1] = path
            for op in ('getData', 'getACL', 'getChildren2'):
                xid += 1
                conn.send_request(xid, op, path=path)
        first = min(waiting)
        path = waiting.pop(first)
        replies = [conn.read_reply(timeout_s) for _ in range(3)]
        if None in replies or [r[0] for r in replies] != [first, first + 1,
                                                         first + 2]:
            raise Unreadable('%s: %r' % (path, replies))
        if any(r[2] == -101 for r in replies):
            continue  # it went while we looked
        if any(r[2] != 0 for r in replies):
            raise Unreadable('%s: %r' % (path, replies))
        data, acl, children = (r[3] for r in replies)
        names = sorted(name.decode('utf-8', 'replace')
                       for name in children['names'])
        tree[path] = (data['data'], sorted(acl['acl']),
                      tuple(sorted(children['stat'].items())), names)
        todo.extend((path if path != '/' else '') + '/' + name
                    for name in names)
    conn.call(xid + 1, 'closeSession')
    return tree


def difference(one, other, but=()):
    """A few lines of what differs; [] when nothing does."""
    lines = []
    for path in sorted((set(one) | set(other)) - set(but)):
        if one.get(path) != other.get(path):
            lines.append('%s: %.300r against %.300r' % (
                path, one.get(path), other.get(path)))
            if len(lines) == 10:
                break
    return lines


def wait_equal(addresses, but=(), deadline_s=60):
    """Dumps all until they are the same (sessions may still expire), but for
    these paths. Gives (nodes, differences)."""
    end = time.monotonic() + deadline_s
    while True:
        lines, size = [], 0
        try:
            trees = [dump(address) for address in addresses]
        except Unreadable as e:
            lines = [str(e)]
        else:
            size = len(trees[0])
            for address, tree in zip(addresses[1:], trees[1:]):
                lines += ['%s:%d and %s:%d: %s' % (addresses[0] + address +
                                                   (line,))
                          for line in difference(trees[0], tree, but)]
        if not lines or time.monotonic() > end:
            return size, lines
        time.sleep(0.2)  # until a deadline
