"""A network for processes under test: each node in its own network namespace,
joined by a bridge in the namespace of the test itself. Any direction of any
pair can be cut, silently, at any moment.

    netns.enter()                    # runs this script again inside, or says
                                     # why it cannot
    with netns.Network(3) as net:
        subprocess.Popen(net.prefix(0) + ['corrald', ...])
        net.block(net.halves([0], [1, 2]))
        net.block(set())             # healed

The namespaces have no names and live as long as their processes: nothing is
left behind by a test that is killed. Needs iproute2 and util-linux, as root or
where users may make namespaces.

A direction is cut by giving the sender a wrong link-layer address of the
receiver: its packets leave and reach nobody, no error comes back. This needs
no packet filter in the kernel."""

import itertools
import os
import subprocess
import sys

INSIDE = 'CHAOS_NETNS'
CLIENT = -1  # the node of the test and its clients
NOBODY = '02:00:00:00:ff:ff'


def enter():
    """Returns None inside of a namespace of our own (the program is started
    again in one), else the reason why there is none."""
    if os.environ.get(INSIDE) == str(os.getpid()):
        return None
    for flags in (['--net'], ['--user', '--map-root-user', '--net']):
        try:
            trial = subprocess.run(
                ['unshare'] + flags + ['sh', '-c', TRIAL],
                capture_output=True, text=True)
        except FileNotFoundError as e:
            return str(e)
        if trial.returncode == 0:
            # unshare without --fork becomes the program: the pid stays.
            os.environ[INSIDE] = str(os.getpid())
            sys.stdout.flush()
            os.execvp('unshare', ['unshare'] + flags +
                      [sys.executable] + sys.argv)
    return 'no network namespaces: ' + (trial.stderr.strip() or
                                        'unshare failed').splitlines()[-1]


TRIAL = ('ip link add trial type bridge && '
         'ip link add trial0 type veth peer name trial1 && '
         'exec unshare --net true')


def run(command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError('%s: %s' % (' '.join(command),
                                       done.stderr.strip()))
    return done.stdout


class Network:
    """Nodes 0 to count - 1, and CLIENT. Only inside of enter()."""

    def __init__(self, count):
        self.count = count
        self.nodes = list(range(count)) + [CLIENT]
        self.blocked = set()
        self.holders = []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def host(self, node):
        return '10.77.0.%d' % (254 if node == CLIENT else node + 1)

    def prefix(self, node):
        """In front of a command that shall run there."""
        if node == CLIENT:
            return []
        return ['nsenter', '--target', str(self.holders[node].pid), '--net',
                '--']

    # What can be cut: sets of (sender, receiver)

    @staticmethod
    def halves(some, others):
        """Nothing between the two groups."""
        return {pair for a, b in itertools.product(some, others)
                for pair in ((a, b), (b, a))}

    def isolated(self, node, clients=True):
        """The node hears nobody and is not heard."""
        return self.halves([node], [other for other in self.nodes
                                    if other != node and
                                    (clients or other != CLIENT)])

    def deaf(self, node):
        """Its peers hear it, it does not hear them."""
        return {(other, node) for other in range(self.count) if other != node}

    def mute(self, node):
        """It hears its peers, they do not hear it."""
        return {(node, other) for other in range(self.count) if other != node}

    def block(self, pairs):
        """From now on exactly these are cut."""
        pairs = set(pairs)
        lines = {}
        for sender, receiver in pairs ^ self.blocked:
            lines.setdefault(sender, []).append(self._neighbour(
                sender, receiver, (sender, receiver) in pairs))
        for sender, batch in lines.items():
            self._ip(sender, batch)
        self.blocked = pairs

    def shape(self, node, delay_ms=0, loss_percent=0):
        """What the node sends is delayed and lost; 0, 0: no longer. False
        when this kernel has no netem."""
        tc = self.prefix(node) + ['tc', 'qdisc']
        if not delay_ms and not loss_percent:
            subprocess.run(tc + ['del', 'dev', 'eth0', 'root'],
                           capture_output=True)
            return True
        done = subprocess.run(
            tc + ['replace', 'dev', 'eth0', 'root', 'netem', 'delay',
                  '%dms' % delay_ms, '%dms' % (delay_ms // 4), 'loss',
                  '%d%%' % loss_percent], capture_output=True)
        return done.returncode == 0

    def close(self):
        for holder in self.holders:
            holder.stdin.close()
            holder.kill()
            holder.wait()
            holder.stdout.close()
        self.holders = []
        subprocess.run(['ip', 'link', 'del', 'bridge0'], capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # How it is done

    def _build(self):
        self._ip(CLIENT, ['link set lo up',
                          'link add bridge0 address %s type bridge' %
                          self._address(CLIENT),
                          'addr add %s/24 dev bridge0' % self.host(CLIENT),
                          'link set bridge0 up'])
        for node in range(self.count):
            holder = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--net', 'sh',
                 '-c', 'echo; exec cat'], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE)
            self.holders.append(holder)
            holder.stdout.readline()  # it is in its namespace now
            self._ip(CLIENT, [
                'link add port%d type veth peer name eth0 address %s netns %d'
                % (node, self._address(node), holder.pid),
                'link set port%d master bridge0 up' % node])
            self._ip(node, ['link set lo up',
                            'addr add %s/24 dev eth0' % self.host(node),
                            'link set eth0 up'])
        for node in self.nodes:
            self._ip(node, [self._neighbour(node, other, False)
                            for other in self.nodes if other != node])

    def _address(self, node):
        return '02:00:00:00:00:%02x' % (254 if node == CLIENT else node + 1)

    def _neighbour(self, sender, receiver, cut):
        return 'neigh replace %s lladdr %s dev %s nud permanent' % (
            self.host(receiver), NOBODY if cut else self._address(receiver),
            'bridge0' if sender == CLIENT else 'eth0')

    def _ip(self, node, lines):
        run(self.prefix(node) + ['ip', '-batch', '-'], '\n'.join(lines) + '\n')


def self_test():
    """Cuts each direction once and looks; ends with the reason of a skip."""
    why = enter()
    if why:
        print(why)
        return 77
    with Network(3) as net:
        def reaches(sender, receiver):
            # A datagram, so that one direction is seen by itself.
            listener = subprocess.Popen(
                net.prefix(receiver) + [
                    sys.executable, '-c', LISTEN % net.host(receiver)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            listener.stdout.readline()
            run(net.prefix(sender) + [sys.executable, '-c',
                                      SEND % net.host(receiver)])
            return listener.communicate('sent\n')[0] == 'seen\n'

        pairs = [(a, b) for a in net.nodes for b in net.nodes if a != b]
        for cut in [set()] + [{pair} for pair in pairs[:4]] + [
                net.isolated(1), net.halves([0], [1, 2]), net.deaf(2), set()]:
            net.block(cut)
            for pair in pairs:
                assert reaches(*pair) == (pair not in cut), (pair, cut)
        shaped = net.shape(0, 20, 1) and net.shape(0)
    print('every direction can be cut by itself; netem: %s' % (
        'yes' if shaped else 'not in this kernel'))
    return 0


LISTEN = '''
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("%s", 7)); s.settimeout(0.1); print(flush=True)
input()
try:
    s.recv(9); print("seen")
except TimeoutError:
    print("nothing")
'''
SEND = '''
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("%s", 7))
'''

if __name__ == '__main__':
    sys.exit(self_test())
