#!/usr/bin/python3
"""The checkers of the chaos runs, checked: by hand-made histories that break
one promise each and look-alikes that break none, by histories of a model with a
deliberate bug, and the two judgements of a register against each other and
against brute force.

    test_checkers.py [--long]"""

import itertools
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True  # the sources may be read-only
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import argparse  # noqa: E402
import checkers  # noqa: E402
import checkers_linear  # noqa: E402
import history  # noqa: E402
import history_model  # noqa: E402

REG = '/c/reg/0/0'
TIMEOUT_MS = 6000


class Hist:
    """Rows, in the order in which they are written."""

    def __init__(self):
        self.rows = []
        self.sessions = {}

    def row(self, actor, inv, ret, op, path=None, args=None, status=0,
            result=None, zxid=None, session=None, conn=1):
        if session is None:
            session = self.sessions.setdefault(actor, len(self.sessions) + 1)
        self.rows.append([inv, ret, actor, session, conn, op, path, args,
                          status, result, zxid, 's1'])
        return self

    def create(self, actor, inv, ret, data, zxid, path=REG, flags=0, made=None,
               **more):
        status = more.pop('status', 0)
        return self.row(actor, inv, ret, 'create2', path, [data, flags], status,
                        [made or path, zxid] if status == 0 else None,
                        more.pop('header', zxid), **more)

    def set(self, actor, inv, ret, data, version, zxid, expected=-1, path=REG,
            **more):
        status = more.pop('status', 0)
        return self.row(actor, inv, ret, 'setData', path, [data, expected],
                        status, [version, zxid] if status == 0 else None,
                        more.pop('header', zxid), **more)

    def lost(self, actor, inv, ret, data, expected=-1, path=REG, **more):
        return self.row(actor, inv, ret, 'setData', path, [data, expected],
                        None, None, None, **more)

    def get(self, actor, inv, ret, data, version, mzxid, zxid, path=REG,
            synced=False, watch=False, czxid=1, **more):
        args = ['watch'] * watch + ['synced'] * synced
        return self.row(actor, inv, ret, 'getData', path, args, 0,
                        [data, version, mzxid, czxid], zxid, **more)

    def gone(self, actor, inv, ret, op, zxid, path=REG, args=(), **more):
        return self.row(actor, inv, ret, op, path, list(args), -101, None, zxid,
                        **more)

    def opened(self, actor, at, session, resumed=0, conn=1):
        self.sessions[actor] = session
        return self.row(actor, at - 1, at, 'open', None, [resumed], 0,
                        [TIMEOUT_MS], None, session, conn)

    def event(self, actor, at, path, kind=3, **more):
        return self.row(actor, at, at, 'event', path, None, 0, [kind, 3], -1,
                        **more)

    def exists(self, actor, inv, ret, path, czxid, owner, zxid, synced=False,
               **more):
        return self.row(actor, inv, ret, 'exists', path, ['synced'] * synced, 0,
                        [czxid, czxid, 0, owner], zxid, **more)

    def check(self, final=None, strict=True):
        return checkers.check_rows([self.rows], final, strict)[0]


def made():
    """A register: version 0 at 1, version 1 at 2."""
    return Hist().create('0.a', 10, 20, 'v0', 1).set('0.a', 30, 40, 'v1', 1, 2)


def tree(**nodes):
    """A final dump: path -> (data, czxid, mzxid, version)."""
    return {path: [n[0], n[1], n[2], n[1], n[3], 0, 0,
                   n[4] if len(n) > 4 else 0] for path, n in nodes.items()}


CASES = []


def bad(checker, strict=True):
    """The history is found by this checker."""
    def note(function):
        CASES.append((function, checker, strict))
        return function
    return note


def fine(strict=True):
    def note(function):
        CASES.append((function, None, strict))
        return function
    return note


# -- Registers.

@bad('register')
def synced_read_is_stale():
    return made().get('0.b', 50, 60, 'v0', 0, 1, 1, synced=True)


@bad('linearizable')
def synced_read_is_stale_for_the_search():
    return made().get('0.b', 50, 60, 'v0', 0, 1, 1, synced=True)


@bad('linearizable')
def synced_reads_go_back():
    return made().get('0.b', 32, 36, 'v1', 1, 2, 2, synced=True).get(
        '0.c', 37, 39, 'v0', 0, 1, 1, synced=True)


@fine()
def synced_read_beside_the_write():
    return made().get('0.b', 35, 60, 'v0', 0, 1, 1, synced=True)


@fine()
def plain_read_of_another_client_is_old():
    return made().get('0.b', 50, 60, 'v0', 0, 1, 1)


@bad('register', strict=False)
def own_write_is_not_seen():
    return made().get('0.a', 50, 60, 'v0', 0, 1, 2)


@bad('register', strict=False)
def read_is_older_than_what_the_client_saw():
    h = made().row('0.b', 41, 42, 'sync', REG, None, 0, None, 2)
    return h.get('0.b', 50, 60, 'v0', 0, 1, 2)


@bad('register')
def read_is_not_of_its_zxid():
    return made().get('0.b', 50, 60, 'v0', 0, 1, 2)


@fine(strict=False)
def apache_takes_the_zxid_after_the_read():
    return made().get('0.b', 50, 60, 'v0', 0, 1, 2)


@bad('register', strict=False)
def read_from_the_future():
    return made().get('0.b', 50, 60, 'v1', 1, 2, 1)


@bad('register')
def two_writes_become_one_version():
    return made().set('0.b', 35, 45, 'w1', 1, 3)


@bad('linearizable')
def two_versioned_sets_succeed():
    return made().set('0.b', 31, 45, 'x', 1, 3, 0).set('0.c', 31, 45, 'y', 1, 4,
                                                       0)


@bad('register')
def a_value_that_nobody_wrote():
    return made().get('0.b', 50, 60, 'w', 1, 2, 2)


@bad('register')
def a_value_before_it_was_written():
    return made().lost('0.b', 70, 90, 'w').get('0.c', 50, 60, 'w', 2, 3, 3)


@bad('register')
def a_version_of_no_write():
    return made().set('0.b', 50, 60, 'v3', 3, 4)


@fine()
def a_version_of_an_unknown_write():
    return made().lost('0.b', 45, 49, 'v2').set('0.b', 50, 60, 'v3', 3, 4)


@fine()
def unknown_write_takes_effect_late():
    h = made().lost('0.b', 45, 49, 'w')
    h.get('0.c', 50, 60, 'v1', 1, 2, 2, synced=True)
    return h.get('0.c', 70, 80, 'w', 2, 3, 3, synced=True)


@fine()
def unknown_write_never_happens():
    return made().lost('0.b', 45, 49, 'w').get('0.c', 50, 60, 'v1', 1, 2, 2,
                                               synced=True)


@bad('linearizable')
def unknown_write_is_undone():
    h = made().lost('0.b', 45, 49, 'w')
    h.get('0.c', 50, 60, 'w', 2, 3, 3, synced=True)
    return h.get('0.d', 70, 80, 'v1', 1, 2, 2, synced=True)


@bad('register')
def refused_with_the_right_version():
    return made().set('0.b', 50, 60, 'w', 0, 2, 1, status=-103)


@bad('linearizable')
def refused_with_the_right_version_for_the_search():
    return made().set('0.b', 50, 60, 'w', 0, 2, 1, status=-103)


@fine()
def refused_beside_a_write():
    return made().set('0.b', 35, 60, 'w', 0, 2, 1, status=-103)


@fine()
def refused_because_of_an_unknown_write():
    return made().lost('0.c', 45, 49, 'u').set('0.b', 50, 60, 'w', 0, 2, 1,
                                               status=-103)


@bad('register')
def expected_version_is_ignored():
    return made().set('0.b', 50, 60, 'w', 2, 3, 0)


@bad('register', strict=False)
def zxids_against_versions():
    return made().set('0.b', 35, 45, 'w', 2, 1)


@bad('register')
def the_node_is_gone():
    return made().gone('0.a', 50, 60, 'getData', 2)


@bad('register')
def the_node_is_gone_for_a_writer():
    return made().gone('0.b', 50, 60, 'setData', 2, args=('w', -1))


@fine()
def the_node_is_not_there_yet():
    return Hist().gone('0.b', 5, 25, 'getData', 0).create(
        '0.a', 10, 26, 'v0', 1)


@bad('lock')
def tokens_go_back():
    h = Hist().create('0.a', 10, 20, '0 none', 1, path='/c/guard/0')
    h.set('0.a', 30, 40, '9 0.a:1', 1, 10, 0, path='/c/guard/0')
    return h.set('0.b', 50, 60, '5 0.b:1', 2, 11, 1, path='/c/guard/0')


# -- Zxids.

@bad('zxid', strict=False)
def zxid_goes_back():
    return made().get('0.a', 50, 60, 'v0', 0, 1, 1)


@bad('zxid', strict=False)
def zxid_goes_back_after_a_reconnect():
    h = made().opened('0.a', 45, 1, resumed=1, conn=2)
    return h.get('0.a', 50, 60, 'v0', 0, 1, 1, conn=2)


@bad('zxid')
def ping_goes_back():
    return made().row('0.a', 50, 60, 'ping', status=0, zxid=1)


@fine(strict=False)
def ping_overtakes_in_apache():
    return made().row('0.a', 50, 60, 'ping', status=0, zxid=1)


@fine()
def other_client_is_behind():
    return made().get('0.b', 50, 60, 'v0', 0, 1, 1)


@bad('real time', strict=False)
def write_before_an_acknowledged_one():
    h = Hist().create('0.a', 10, 20, 'v0', 3)
    return h.create('0.b', 50, 60, 'w0', 2, path='/c/reg/0/1')


@fine(strict=False)
def write_beside_an_acknowledged_one():
    h = Hist().create('0.a', 10, 20, 'v0', 3)
    return h.create('0.b', 15, 60, 'w0', 2, path='/c/reg/0/1')


@bad('real time')
def sync_is_behind_the_acknowledged():
    return made().row('0.b', 50, 60, 'sync', REG, None, 0, None, 1)


@fine(strict=False)
def sync_of_apache_asks_nobody():
    return made().row('0.b', 50, 60, 'sync', REG, None, 0, None, 1)


@bad('real time')
def refusal_is_behind_the_acknowledged():
    return made().create('0.b', 50, 60, 'w', 1, status=-110, path='/c/reg/0/9')


@bad('zxid')
def one_zxid_for_two_writes():
    return made().create('0.b', 35, 60, 'w0', 2, path='/c/reg/0/1')


# -- Pipelines.

PIPE = '/c/pipe/0/0.p'


def pipe():
    h = Hist().create('0.p', 1, 9, 'v0', 1, path=PIPE)
    return h.set('0.p', 10, 20, 'v1', 1, 2, path=PIPE)


@bad('pipeline')
def read_behind_a_write_does_not_see_it():
    return pipe().get('0.p', 10, 21, 'v0', 0, 1, 2, path=PIPE)


@bad('pipeline', strict=False)
def middle_of_a_pipeline_is_missing():
    h = pipe()
    for value in 'abc':
        h.lost('0.p', 30, 40, value, path=PIPE)
    return h.get('0.p', 50, 60, 'c', 3, 5, 5, path=PIPE, conn=2)


@fine()
def first_part_of_a_pipeline_happened():
    h = pipe()
    for value in 'abc':
        h.lost('0.p', 30, 40, value, path=PIPE)
    h.get('0.p', 50, 60, 'b', 3, 5, 5, path=PIPE, conn=2)
    return h.set('0.p', 61, 70, 'd', 4, 6, path=PIPE, conn=2)


@bad('pipeline')
def stray_request_of_the_old_connection():
    h = pipe().lost('0.p', 30, 40, 'a', path=PIPE)
    h.get('0.p', 50, 60, 'v1', 1, 2, 2, path=PIPE, conn=2)
    return h.get('0.p', 61, 70, 'a', 2, 3, 3, path=PIPE, conn=2)


@fine(strict=False)
def what_was_under_way_comes_later_in_apache():
    h = pipe().lost('0.p', 30, 40, 'a', path=PIPE)
    h.get('0.p', 50, 60, 'v1', 1, 2, 2, path=PIPE, conn=2)
    return h.get('0.p', 61, 70, 'a', 2, 3, 3, path=PIPE, conn=2)


@bad('pipeline', strict=False)
def stray_request_behind_a_write():
    h = pipe().lost('0.p', 30, 40, 'a', path=PIPE)
    h.set('0.p', 50, 60, 'b', 2, 3, path=PIPE, conn=2)
    return h.get('0.p', 61, 70, 'a', 3, 4, 4, path=PIPE, conn=2)


@fine(strict=False)
def parts_of_two_connections_happened():
    h = pipe()
    for conn, value in ((1, 'a'), (1, 'b'), (2, 'c'), (2, 'd')):
        h.lost('0.p', 30, 40, value, path=PIPE, conn=conn)
    return h.get('0.p', 50, 60, 'c', 3, 5, 5, path=PIPE, conn=3)


# -- Nodes and names.

UNIQ = '/c/uniq/0/0.u-1'


def unique():
    return Hist().create('0.u', 10, 20, UNIQ, 5, path=UNIQ)


@bad('unique')
def acknowledged_node_is_not_there():
    return unique().gone('0.u', 30, 40, 'exists', 6, path=UNIQ)


@bad('unique')
def node_exists_for_the_first():
    return Hist().create('0.u', 10, 20, UNIQ, 5, path=UNIQ, status=-110)


@fine()
def node_exists_after_an_unknown_create():
    h = Hist().create('0.u', 1, 9, UNIQ, None, path=UNIQ, status=None)
    return h.create('0.u', 10, 20, UNIQ, 5, path=UNIQ, status=-110)


@bad('unique')
def deleted_node_is_back():
    h = unique().row('0.u', 30, 40, 'delete', UNIQ, [-1], 0, None, 6)
    return h.exists('0.v', 50, 60, UNIQ, 5, 0, 7)


@fine()
def node_is_being_deleted():
    h = unique().gone('0.v', 31, 35, 'exists', 6, path=UNIQ)
    return h.row('0.u', 30, 40, 'delete', UNIQ, [-1], 0, None, 6)


def final(**changed):
    one = {UNIQ: (UNIQ, 5, 5, 0), REG: ('v1', 1, 2, 1)}
    one.update(changed.pop('nodes', {}))
    return {'s1': tree(**one), 's2': tree(**dict(one, **changed))}


def ended():
    return made().create('0.u', 35, 45, UNIQ, 5, path=UNIQ)


@bad('lost')
def acknowledged_node_is_lost_in_the_end():
    return ended(), {'s1': tree(**{REG: ('v1', 1, 2, 1)})}


@bad('lost')
def acknowledged_write_is_lost_in_the_end():
    return ended(), final(nodes={REG: ('v0', 1, 1, 0)})


@bad('lost')
def more_writes_than_were_asked_for():
    return ended(), final(nodes={REG: ('w', 1, 3, 2)})


@fine()
def everything_is_there_in_the_end():
    return ended(), final()


@fine()
def unknown_write_is_there_in_the_end():
    return ended().lost('0.a', 50, 60, 'w'), \
        final(nodes={REG: ('w', 1, 3, 2)})


@bad('trees')
def servers_differ_in_data():
    return ended(), final(**{REG: ('x', 1, 2, 1)})


@bad('trees')
def servers_differ_in_nodes():
    return ended(), final(**{'/other': ('', 9, 9, 0)})


@bad('final')
def a_node_that_nobody_made():
    return ended(), final(nodes={'/c/uniq/0/x': ('', 7, 7, 0)})


@bad('ephemeral')
def ephemeral_stays_in_the_end():
    return ended(), final(nodes={'/c/eph/0/x': ('', 7, 7, 0, 99)})


def sequence(*names):
    h = Hist()
    for at, (name, zxid) in enumerate(names):
        h.create('0.s%d' % at, 1, 10 + at, 'd%d' % at, zxid,
                 path='/c/seq/0/n-', flags=2, made='/c/seq/0/n-' + name)
    return h


@bad('sequence')
def number_is_given_twice():
    return sequence(('0000000001', 5), ('0000000001', 6))


@bad('sequence')
def numbers_against_the_order():
    return sequence(('0000000002', 5), ('0000000001', 6))


@bad('sequence')
def no_number():
    return sequence(('1', 5))


@fine()
def numbers_with_gaps_told_in_another_order():
    return sequence(('0000000007', 9), ('0000000003', 6))


# -- Sessions, ephemerals, locks.

EPH = '/c/eph/0/x'


def ephemeral():
    h = Hist().opened('0.e', 5, 77)
    return h.create('0.e', 10, 20, EPH, 5, path=EPH, flags=1)


@bad('ephemeral')
def ephemeral_outlives_its_session():
    h = ephemeral().row('0.e', 30, 40, 'closeSession', zxid=6)
    return h.exists('0.v', 50, 60, EPH, 5, 77, 6)


@fine()
def ephemeral_is_seen_in_an_older_state():
    h = ephemeral().row('0.e', 30, 40, 'closeSession', zxid=6)
    return h.exists('0.v', 50, 60, EPH, 5, 77, 5)


@bad('ephemeral')
def ephemeral_is_there_after_its_expiry_was_told():
    h = ephemeral().row('0.e', 7000000, 7000001, 'expired', args=[TIMEOUT_MS])
    return h.exists('0.v', 7000002, 7000003, EPH, 5, 77, 7, synced=True)


@bad('ephemeral', strict=False)
def ephemeral_vanishes_from_a_living_session():
    h = ephemeral().row('0.v', 21, 25, 'sync', EPH, None, 0, None, 6)
    h.gone('0.v', 30, 40, 'exists', 6, path=EPH)
    return h.create('0.e', 50, 60, '', 7, path=EPH + '2', flags=1)


@bad('ephemeral')
def ephemeral_vanishes_before_its_time():
    return ephemeral().gone('0.v', 1000000, 1000001, 'exists', 6, path=EPH)


@fine()
def ephemeral_vanishes_in_time():
    return ephemeral().gone('0.v', 6000100, 6000101, 'exists', 6, path=EPH)


@fine()
def ephemeral_is_deleted():
    h = ephemeral().gone('0.v', 35, 45, 'exists', 6, path=EPH)
    return h.row('0.e', 30, 50, 'delete', EPH, [-1], None, None, None)


@bad('ephemeral')
def ephemeral_of_another_owner():
    return ephemeral().exists('0.v', 50, 60, EPH, 5, 78, 6)


@bad('session')
def session_id_is_given_twice():
    return Hist().opened('0.a', 5, 77).opened('0.b', 9, 77)


@bad('session')
def session_expires_before_its_time():
    return ephemeral().row('0.e', 900, 1000, 'expired', args=[TIMEOUT_MS])


@fine()
def session_is_resumed_and_expires_in_time():
    h = ephemeral().opened('0.e', 50, 77, resumed=77, conn=2)
    return h.row('0.e', 6000100, 6000101, 'expired', args=[TIMEOUT_MS])


LOCK = '/c/lock/0'


def locks():
    h = Hist()
    for actor, zxid in (('0.a', 5), ('0.b', 6)):
        h.create(actor, 10, 20, actor, zxid, path=LOCK + '/x-', flags=3,
                 made='%s/x-000000000%d' % (LOCK, zxid))
    return h


def listing(h, actor, inv, zxid, *numbers):
    return h.row(actor, inv, inv + 5, 'getChildren2', LOCK, [], 0,
                 [0, 0, ['x-000000000%d' % n for n in numbers]], zxid)


@bad('lock')
def two_hold_the_lock():
    h = listing(locks(), '0.a', 30, 6, 5, 6)
    listing(h, '0.b', 40, 7, 6)
    return h.row('0.a', 50, 60, 'delete', LOCK + '/x-0000000005', [-1], 0, None,
                 9)


@bad('lock', strict=False)
def two_hold_the_lock_and_one_goes_on():
    h = listing(locks(), '0.b', 40, 7, 6)
    return h.create('0.a', 50, 60, 'w', 8, path=LOCK + '/y-', flags=3,
                    made=LOCK + '/y-0000000008')


@fine()
def one_holds_it_after_the_other():
    h = listing(locks(), '0.a', 30, 6, 5, 6)
    h.row('0.a', 50, 60, 'delete', LOCK + '/x-0000000005', [-1], 0, None, 7)
    return listing(h, '0.b', 70, 7, 6)


@fine()
def one_holds_it_after_the_others_end():
    h = listing(locks(), '0.a', 30, 6, 5, 6)
    h.row('0.a', 50, 60, 'delete', LOCK + '/x-0000000005', [-1], None)
    return listing(h, '0.b', 70, 7, 6)


# -- Watches.

WATCHED = '/c/watch/0/0'


def watching():
    h = Hist().create('0.a', 1, 2, 'v0', 1, path=WATCHED)
    h.get('0.w', 5, 9, 'v0', 0, 1, 1, path=WATCHED, watch=True)
    return h.set('0.a', 10, 20, 'v1', 1, 2, path=WATCHED)


@bad('watch', strict=False)
def data_before_the_event():
    h = watching().get('0.w', 30, 40, 'v1', 1, 2, 2, path=WATCHED)
    return h.event('0.w', 41, WATCHED)


@bad('watch', strict=False)
def data_and_no_event_on_the_next_connection():
    h = watching().opened('0.w', 25, 2, resumed=2, conn=2)
    return h.get('0.w', 30, 40, 'v1', 1, 2, 2, path=WATCHED, conn=2)


@fine()
def event_before_the_data():
    return watching().event('0.w', 29, WATCHED).get(
        '0.w', 30, 40, 'v1', 1, 2, 2, path=WATCHED)


@fine()
def no_event_for_the_next_session():
    h = watching().opened('0.w', 25, 3)
    return h.get('0.w', 30, 40, 'v1', 1, 2, 2, path=WATCHED)


@bad('watch', strict=False)
def event_comes_twice():
    return watching().event('0.w', 29, WATCHED).event('0.w', 30, WATCHED)


@bad('watch', strict=False)
def event_without_a_change():
    h = watching().event('0.w', 29, WATCHED)
    return h.get('0.w', 30, 40, 'v0', 0, 1, 1, path=WATCHED)


@bad('watch')
def any_answer_of_the_new_state_before_the_event():
    h = watching().row('0.w', 21, 25, 'sync', WATCHED, None, 0, None, 2)
    return h.event('0.w', 29, WATCHED)


TOP = '/c/tree/0'


def recursive(*events, between=None):
    h = Hist().row('0.w', 1, 2, 'addWatch', TOP, [1], 0, None, 1)
    h.create('0.a', 10, 20, 'x', 2, path=TOP + '/x')
    h.set('0.a', 21, 30, 'y', 1, 3, path=TOP + '/x')
    h.row('0.a', 31, 40, 'delete', TOP + '/x', [-1], 0, None, 4)
    for at, kind in enumerate(events):
        if between == at:
            h.row('0.w', 41, 50, 'ping', zxid=4)
        h.event('0.w', 50 + at, TOP + '/x', kind)
    return h.row('0.w', 60, 70, 'ping', zxid=4)


@fine()
def all_changes_are_told():
    return recursive(1, 3, 2)


@bad('recursive watch')
def a_change_is_not_told():
    return recursive(1, 2)


@bad('recursive watch')
def the_last_change_is_not_told():
    return recursive(1, 3)


@bad('recursive watch', strict=False)
def changes_are_told_in_another_order():
    return recursive(3, 1, 2)


@bad('recursive watch', strict=False)
def a_change_is_told_twice():
    return recursive(1, 1, 3, 2)


@bad('recursive watch')
def a_change_is_told_behind_its_state():
    return recursive(1, 3, 2, between=1)


@bad('recursive watch', strict=False)
def a_change_that_never_was():
    h = recursive(1, 3, 2)
    return h.event('0.w', 80, TOP + '/y', 1)


# -- Multi.

PAIR = '/c/multi/0/0'


def multi(h, actor, inv, ret, value, version, zxid, status=0):
    parts = [[0, version, zxid], [0, version, zxid]]
    return h.row(actor, inv, ret, 'multi', PAIR, [value, -1], status,
                 parts if status == 0 else None, zxid if status == 0 else None)


def pair():
    h = Hist().row('0.a', 1, 9, 'multi', PAIR, ['v0', -1], 0,
                   [[0, PAIR + 'a', 1], [0, PAIR + 'b', 1]], 1)
    return multi(h, '0.a', 10, 20, 'v1', 1, 2)


@bad('multi', strict=False)
def half_of_a_multi_is_seen():
    h = pair().get('0.b', 30, 40, 'v1', 1, 2, 2, path=PAIR + 'a')
    return h.get('0.b', 30, 41, 'v0', 0, 1, 2, path=PAIR + 'b')


@bad('multi', strict=False)
def value_of_a_refused_multi():
    h = pair().row('0.b', 30, 40, 'multi', PAIR, ['w', 7], 0,
                   [[-103], [-2], [-2]], 2)
    return h.get('0.b', 50, 60, 'w', 2, 3, 3, path=PAIR + 'a')


@bad('multi', strict=False)
def part_of_a_multi_is_done():
    return pair().row('0.b', 30, 40, 'multi', PAIR, ['w', 7], 0,
                      [[0, 2, 3], [-103], [-2]], 3)


@bad('multi')
def multi_read_of_two_states():
    return pair().row('0.b', 30, 40, 'multiRead', PAIR, [], 0,
                      [[0, 'v0', 0, 1, 1], [0, 'v1', 1, 2, 1]], 2)


@fine()
def old_then_new_half():
    h = pair().get('0.b', 11, 40, 'v0', 0, 1, 1, path=PAIR + 'a')
    return h.get('0.b', 11, 41, 'v1', 1, 2, 2, path=PAIR + 'b')


@fine()
def value_of_an_unknown_multi():
    h = multi(pair(), '0.b', 30, 40, 'w', 2, 3, status=None)
    return h.get('0.b', 50, 60, 'w', 2, 3, 3, path=PAIR + 'a')


# -- Running them.

def hand_made():
    for function, checker, strict in CASES:
        case = function()
        h, end = case if isinstance(case, tuple) else (case, None)
        h.rows.sort(key=lambda row: row[history.RET])
        found = h.check(end, strict)
        if checker is None:
            assert not found, (function.__name__, found)
        else:
            assert any(text.startswith(checker + ':') for text in found), \
                (function.__name__, found)
    return len(CASES)


# Which checker must find which bug of the model.
FOUND_BY = {
    'stale_sync': 'real time', 'lost_write': 'register',
    'expectation_ignored': 'register', 'false_refusal': 'register',
    'server_behind_client': 'zxid', 'watch_after_data': 'watch',
    'watch_twice': 'watch', 'number_again': 'sequence',
    'ephemeral_stays': 'ephemeral', 'ephemeral_vanishes': 'ephemeral',
    'half_multi': 'multi', 'middle_of_pipeline': 'pipeline',
    'stray_after_move': 'pipeline', 'tree_differs': 'trees',
    'unique_vanishes': 'lost', 'recursive_event_lost': 'recursive watch',
    'recursive_order': 'recursive watch', 'two_holders': 'lock',
    'early_expiry': 'session', 'own_write_unseen': 'register',
    'wrong_value': 'register', 'answered_not_done': 'register',
    'session_again': 'session', 'zxid_of_future': 'zxid',
}


def model(seeds, actions):
    """Correct worlds are found correct, each bug is found in most worlds."""
    for seed in range(seeds * 3):
        rows, end, _ = history_model.Model(seed, None, actions).run()
        for strict in (True, False):
            found = checkers.check_rows([[list(r) for r in rows]], end,
                                        strict)[0]
            assert not found, ('a correct world', seed, found[:5])
    worlds = 0
    assert set(FOUND_BY) == set(history_model.BUGS)
    for bug, checker in FOUND_BY.items():
        struck = found = 0
        for seed in range(seeds):
            rows, end, hits = history_model.Model(seed, bug, actions).run()
            struck += hits > 0
            found += hits > 0 and any(
                text.startswith(checker + ':')
                for text in checkers.check_rows([rows], end)[0])
        assert struck >= seeds / 2, (bug, 'struck only', struck)
        assert found >= struck * 0.6, (bug, struck, found)
        worlds += seeds
    return worlds + seeds * 3


def brute_force(ops):
    """Whether some order of all known and some of the unknown explains them."""
    known = [op for op in ops if op.status is not None]
    unknown = [op for op in ops if op.status is None]
    for size in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, size):
            for order in itertools.permutations(known + list(chosen)):
                if explains(order):
                    return True
    return False


def explains(order):
    state = (-1, None)
    latest_inv = -1
    for op in order:
        if op.ret < latest_inv:
            return False
        latest_inv = max(latest_inv, op.inv)
        state = checkers_linear.apply(op, state)
        if state is None:
            return False
    return True


def random_ops(rng):
    """A few operations; with luck there is an order that explains them."""
    ops = [checkers_linear.Op(0, 2, 'create', 'v0', -1, 0, 0, 1, 1, 0, True,
                              '0.a')]
    versions = rng.randint(1, 3)
    for number in range(rng.randint(2, 5)):
        inv = rng.randint(1, 20)
        ret = inv + rng.randint(1, 12)
        kind = rng.choice(('set', 'set', 'cas', 'refused', 'read', 'unknown'))
        version = rng.randint(0, versions)
        value, expected, status = 'x%d' % number, -1, 0
        if kind == 'read':
            ops.append(checkers_linear.Op(
                inv, ret, 'read', 'v0' if version == 0 else
                'x%d' % rng.randrange(5), -1, 0, version, version + 1,
                version + 1, 0, True, '0.b'))
            continue
        if kind in ('cas', 'refused'):
            expected = version
        version = version + 1 if kind == 'cas' else max(1, version)
        if kind == 'refused':
            status = -103
        if kind == 'unknown':
            status, ret = None, float('inf')
            expected = rng.choice((-1, version))
        known = status == 0
        ops.append(checkers_linear.Op(
            inv, ret, 'set', value, expected, status,
            version if known else None, version + 1 if known else None,
            None, 0, True, '0.c'))
    return ops


def against_brute_force(count):
    """The search is right. What the order of versions tells is right when it
    tells something; and it misses little of what the search finds."""
    rng = random.Random(7)
    good = missed = wrong = 0
    for _ in range(count):
        ops = random_ops(rng)
        truth = brute_force(ops)
        assert (checkers_linear.linearizable(ops) is None) == truth, ops
        context = checkers.Context(False)
        judgement = checkers_linear.Judgement(context, REG, list(ops))
        judgement.run()
        if truth:
            good += 1
            assert not context.violations, (ops, context.violations)
            assert checkers_linear.linearizable(
                judgement.explained()) is None, ops
        else:
            wrong += 1
            missed += not context.violations
    assert good > count / 20, good
    assert missed <= wrong / 10, (missed, wrong)
    return good, count - good


def files():
    """A history on disk, whole and broken off."""
    with tempfile.TemporaryDirectory(prefix='chaos-test-') as directory:
        path = os.path.join(directory, 'history-0.jsonl')
        writer = history.Writer(path, 0)
        for row in made().rows:
            writer.row(*row)
        writer.end()
        found, counts = checkers.check(directory)
        assert not found and counts['unfinished histories'] == 0, found
        with open(path) as file:
            lines = file.read().splitlines(True)
        # The write of v1 was sent by a client that was killed.
        with open(path, 'w') as file:
            file.writelines(lines[:2] + [lines[2][:30]])
        with open(os.path.join(directory, 'history-1.jsonl'), 'w') as file:
            file.writelines([lines[0].replace('"process": 0', '"process": 1')])
            reader = history.Writer(file.name, 1)
            reader.row(*Hist().get('1.b', 50, 60, '0.a:2', 1, 2, 2).rows[0])
            reader.end()
        found, counts = checkers.check(directory)
        assert not found and counts['unfinished histories'] == 1, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--long', action='store_true')
    args = parser.parse_args()
    cases = hand_made()
    files()
    good, wrong = against_brute_force(20000 if args.long else 1500)
    worlds = model(40 if args.long else 3, 3000 if args.long else 1500)
    print('%d hand-made histories, %d small ones against brute force (%d of '
          'them linearizable), %d worlds: all judged right' % (
              cases, good + wrong, good, worlds))
    return 0


if __name__ == '__main__':
    sys.exit(main())
