# SPDX-License-Identifier: BSD-3-Clause
"""Sockets that are older than the instance: listeners that socket units lend, and what a service manager keeps from one life to the next."""
import array
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from harness import (Service, answers, binary, connect, eventually, free_ports, how_it_ends, listens, main, new_secret, program, serve_echo,
                     start_dht, start_instance, test)

# Becomes its arguments, with the descriptors of $PASSED from 3 on and LISTEN_PID, as systemd starts a service.
PASS = '''
import fcntl, os, sys
given = [int(fd) for fd in os.environ.pop('PASSED').split()]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for fd in given]
for fd in given:
    os.close(fd)
for number, fd in enumerate(high, 3):
    os.dup2(fd, number)
    os.close(fd)
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[1], sys.argv[1:])
'''


class Manager:
    """What systemd is to one service: a store that it fills and empties, which is passed to its next life beside what socket units lend."""

    def __init__(self, stack, room=16):
        self.room, self.kept, self.lent = room, {}, []
        self.slow, self.dropped = False, []     # what it was told to close, and has not
        self.lock = threading.Lock()            # of .kept
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f'\0hypergate-test-{os.getpid()}-{id(self)}'
        self.socket.bind(self.name)
        stack.callback(self.close)
        threading.Thread(target=self.listen, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        for fd in [*self.kept.values(), *self.dropped, *[fd for fd, _ in self.lent]]:
            os.close(fd)
        self.socket.close()

    def listen(self):
        while True:
            text, controls, _, _ = self.socket.recvmsg(4096, 4096, socket.MSG_CMSG_CLOEXEC)
            if not text:
                return
            said = dict(line.split('=', 1) for line in text.decode().splitlines())
            fds = array.array('i')
            for _, _, data in controls:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
            with self.lock:
                self.hear(said, fds)
            for fd in fds:
                os.close(fd)

    def hear(self, said, fds):
        if 'FDSTORE' in said:
            assert said['FDNAME'] not in self.kept and len(fds) == 1 and len(self.kept) < self.room, said
            self.kept[said['FDNAME']] = fds.pop()
        elif 'FDSTOREREMOVE' in said and said['FDNAME'] in self.kept:
            self.dropped.append(self.kept.pop(said['FDNAME']))
            if not self.slow:
                self.close_dropped()

    def close_dropped(self):
        while self.dropped:
            os.close(self.dropped.pop())

    def lend(self, name, given):
        self.lent.append((given.detach() if isinstance(given, socket.socket) else given, name))

    def start(self, stack, secret, config):
        passed = [*self.lent, *[(fd, name) for name, fd in self.kept.items()]]
        names = ':'.join(name for _, name in passed)
        env = {'NOTIFY_SOCKET': '@' + self.name[1:], 'FDSTORE': str(self.room),
               'PASSED': ' '.join(str(fd) for fd, _ in passed)}
        if passed:
            env |= {'LISTEN_FDS': str(len(passed)), 'LISTEN_FDNAMES': names}
        return start_instance(stack, 'gateway', secret, config, under=[sys.executable, '-c', PASS], env=env, fds=[fd for fd, _ in passed])

    def sockets(self):
        """By name, what distinguishes each from all others."""
        with self.lock:
            return {name: os.fstat(fd).st_ino for name, fd in self.kept.items()}


def holders(instance, inode):
    """The programs of the instance that have that socket."""
    found = set()
    for pid in instance.tree():
        with contextlib.suppress(OSError):      # some end soon
            for fd in os.listdir(f'/proc/{pid}/fd'):
                with contextlib.suppress(OSError):
                    if os.readlink(f'/proc/{pid}/fd/{fd}') == f'socket:[{inode}]':
                        found.add(program(pid))
    return sorted(found)


def bound(kind, address, port, family=socket.AF_INET):
    made = socket.socket(family, kind)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind((address, port))
    return made


def reload(instance, change):
    with open(instance.conf) as file:
        config = json.load(file)
    change(config)
    with open(instance.conf, 'w') as file:
        json.dump(config, file)
    done = subprocess.run([binary(), 'reload', 'gateway'], capture_output=True, text=True,
                          env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
    assert done.returncode == 0, done


def begin(stack, count=1):
    """A DHT, a secret, gate ports, and what provider offers an echo at the first of them."""
    dht, secret, gates, echo = start_dht(stack, 2), new_secret(), free_ports(count), Service(stack, serve_echo)
    state = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, state)
    offer = {'bootstrap': [dht], 'provider': {'services': [
        {'gatePort': gates[0], 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'tcp'}]}}
    return secret, offer, {'bootstrap': [dht], 'stateDirectory': state, 'gateway': {'listen': '127.0.0.1'}}, gates


def echoes(client, words):
    client.settimeout(20)
    return client.recv(100) == words


@test
def lent(stack):
    """a gate that a socket unit opened is open from the start, with nobody behind it, and belongs to two processes; it outlives the instance"""
    secret, offer, config, (gate,) = begin(stack)
    manager = Manager(stack)
    listener = bound(socket.SOCK_STREAM, '127.0.0.1', gate)
    listener.listen()
    inode = os.fstat(listener.fileno()).st_ino
    manager.lend('gate', listener)
    with connect(gate) as first:            # before there is anybody: as when systemd starts it for the first client
        first.sendall(b'waits')
        gateway = manager.start(stack, secret, config)
        gateway.says(f'gate {gate} open on 127.0.0.1')
        start_instance(stack, 'provider', secret, offer)
        assert echoes(first, b'waits')
    assert holders(gateway, inode) == ['hypergate-forward', 'hypergated'], holders(gateway, inode)
    assert not any(str(gate) in name for name in manager.kept), 'it is the unit that keeps it'
    reload(gateway, lambda config: config['gateway'].update(services=[{'gatePort': 1}]))
    gateway.says(f'gate {gate} closed: ')
    gateway.says('socket "gate" (127.0.0.1, %d) is of no use here: gateway.services does not allow that gate' % gate)
    reload(gateway, lambda config: config['gateway'].pop('services'))
    eventually(lambda: len(gateway.says(f'gate {gate} open on 127.0.0.1')) == 2, 10, 'it is open again')
    assert gateway.stop() == 0
    assert listens(gate), 'nobody has shut what is not its own'


@test
def of_no_use(stack):
    """what is no gate's is told, each with its reason, and the instance starts without it"""
    secret, _, config, (idle, both, other, forbidden) = begin(stack, 4)
    config['gateway']['services'] = [{'gatePort': other}]
    config['gateway']['listen'] = ['127.0.0.1', '::']
    manager = Manager(stack)
    pair = socket.socketpair()
    stack.callback(pair[1].close)
    connected = bound(socket.SOCK_DGRAM, '127.0.0.1', 0)
    connected.connect(('127.0.0.1', 9))
    for name, made, listening in [('web', bound(socket.SOCK_STREAM, '127.0.0.1', 0), True), ('gate', pair[0], False),
                                  ('gate', bound(socket.SOCK_STREAM, '127.0.0.1', idle), False), ('gate', connected, False),
                                  ('gate', bound(socket.SOCK_STREAM, '::', both, socket.AF_INET6), True),
                                  ('gate', bound(socket.SOCK_STREAM, '127.0.0.2', other), True),
                                  ('gate', bound(socket.SOCK_STREAM, '127.0.0.1', forbidden), True)]:
        if listening:
            made.listen()
        manager.lend(name, made)
    gateway = manager.start(stack, secret, config)
    gateway.says('ready: ')
    said = re.findall(r'socket "(.*) is of no use here: (.*)', gateway.log())
    assert [(name.split('"')[0], why.split(':')[0]) for name, why in said] == [
        ('web', 'what socket units pass here is gates, by FileDescriptorName=gate'), ('gate', 'it is neither TCP nor UDP'),
        ('gate', 'it does not listen (a socket unit must have Accept=no)'), ('gate', 'it is connected'),
        ('gate', 'it takes IPv4 as well'), ('gate', 'gateway.listen has another address'),
        ('gate', 'gateway.services does not allow that gate')], said
    assert ' open on ' not in gateway.log()
    eventually(lambda: len(manager.kept) == 2, 10, 'its own two are kept')


@test
def kept(stack):
    """who comes while nobody runs is served by the next life, from the same sockets: after a stop, and after a death"""
    secret, offer, config, (gate,) = begin(stack)
    manager = Manager(stack)
    start_instance(stack, 'provider', secret, offer)
    gateway = manager.start(stack, secret, config)
    eventually(lambda: listens(gate), 20, 'the gate is open')
    eventually(lambda: len(manager.kept) == 3, 10, 'all is kept')
    before, ports = manager.sockets(), gateway.says('UDP port')[0].split('UDP port')[1]
    assert sorted(before) == ['kept-dht-client', 'kept-dht-server', f'kept-gate-tcp-{gate}-127.0.0.1'], before
    for end in (gateway.stop, lambda: gateway.process.kill() or gateway.process.wait()):
        everybody = gateway.tree()
        end()
        eventually(lambda: not any(program(pid).startswith('hypergate') for pid in everybody), 10, 'nobody is left')
        with connect(gate) as client:
            client.sendall(b'in between')
            gateway = manager.start(stack, secret, config)
            assert echoes(client, b'in between')
        assert gateway.says('UDP port')[0].split('UDP port')[1] == ports
        assert manager.sockets() == before, 'the store has what it had'
        for name, inode in before.items():
            owner = 'hypergate-swarm' if 'dht' in name else 'hypergate-forward'
            assert holders(gateway, inode) == [owner, 'hypergated'], (name, holders(gateway, inode))


@test
def kept_of_further_workers(stack):
    """the ports of further swarm workers are kept as those of the first are; of a worker that there is none of any more they are dropped"""
    secret, offer, config, (gate,) = begin(stack)
    manager = Manager(stack)
    start_instance(stack, 'provider', secret, offer)
    names = {f'kept-dht-{kind}{worker}' for kind in ('server', 'client') for worker in ('', '-2', '-3')} | {f'kept-gate-tcp-{gate}-127.0.0.1'}
    gateway = manager.start(stack, secret, config | {'cores': 3})
    eventually(lambda: set(manager.kept) == names, 20, 'all is kept')
    before = manager.sockets()
    assert gateway.stop() == 0
    gateway = manager.start(stack, secret, config | {'cores': 3})
    gateway.says('ready: ')
    assert manager.sockets() == before, 'the store has what it had'
    for name, inode in before.items():
        owner = 'hypergate-swarm' if 'dht' in name else 'hypergate-forward'
        eventually(lambda: holders(gateway, inode) == [owner, 'hypergated'], 10, f'{name} is held')
    assert gateway.stop() == 0
    gateway = manager.start(stack, secret, config | {'cores': 2})
    eventually(lambda: manager.sockets() == {name: inode for name, inode in before.items() if not name.endswith('-3')}, 10, 'one less')
    assert gateway.stop() == 0


@test
def stale(stack):
    """what another configuration has no use for is shut and dropped, at a start and at a reload"""
    secret, offer, config, (gate,) = begin(stack)
    manager = Manager(stack)
    start_instance(stack, 'provider', secret, offer)
    gateway = manager.start(stack, secret, config)
    eventually(lambda: listens(gate), 20, 'the gate is open')
    name = f'kept-gate-tcp-{gate}-127.0.0.1'
    reload(gateway, lambda config: config['gateway'].update(services=[{'gatePort': 1}]))
    assert not listens(gate)
    eventually(lambda: name not in manager.kept, 10, 'it is kept no more')
    reload(gateway, lambda config: config['gateway'].pop('services'))
    eventually(lambda: name in manager.kept, 20, 'it is open again, and kept')
    assert gateway.stop() == 0
    before = manager.sockets()
    with connect(gate) as client:
        config['gateway']['listen'], config['port'] = '127.0.0.2', free_ports(1, socket.SOCK_DGRAM)[0]
        gateway = manager.start(stack, secret, config)
        gateway.says(f'gate {gate} open on 127.0.0.2')
        client.settimeout(10)
        assert how_it_ends(client) == 'reset'
    names = {'kept-dht-client', 'kept-dht-server', f'kept-gate-tcp-{gate}-127.0.0.2'}

    def all_new():
        after = manager.sockets()
        return after.keys() == names and after['kept-dht-server'] != before['kept-dht-server'] and after
    after = eventually(all_new, 10, 'what is new is kept')
    assert after['kept-dht-client'] == before['kept-dht-client']
    gateway.says(f'UDP port {config["port"]}')


@test
def shut(stack):
    """a UDP port that was shut for sending is made anew for the next swarm worker, the same one: the instance goes on until the store is rid of it"""
    secret, offer, config, (gate,) = begin(stack)
    manager = Manager(stack)
    start_instance(stack, 'provider', secret, offer)
    gateway = manager.start(stack, secret, config)
    eventually(lambda: listens(gate), 20, 'the gate is open')
    eventually(lambda: len(manager.kept) == 3, 10, 'all is kept')
    with socket.socket(fileno=os.dup(manager.kept['kept-dht-server'])) as kept, contextlib.suppress(OSError):
        port = kept.getsockname()[1]
        kept.shutdown(socket.SHUT_WR)           # refused, and done
    manager.slow = True
    os.kill(gateway.workers('swarm')[0], signal.SIGKILL)
    eventually(lambda: manager.dropped, 10, 'it is kept no more')
    for _ in range(5):
        done = subprocess.run([binary(), 'status', 'gateway'], capture_output=True, text=True,
                              env={**os.environ, 'RUNTIME_DIRECTORY': gateway.folder})
        assert done.returncode == 0, done
    assert 'made anew' not in gateway.log()
    manager.slow = False
    manager.close_dropped()
    gateway.says(f'UDP port {port} was shut for sending: made anew, as port {port}')
    eventually(lambda: 'kept-dht-server' in manager.kept, 10, 'it is kept again')
    eventually(lambda: answers(gate), 20, 'who comes is served')


@test
def full(stack):
    """a store that takes no more is asked for no more, and all works as without one"""
    secret, offer, config, (gate,) = begin(stack)
    manager = Manager(stack, room=2)
    start_instance(stack, 'provider', secret, offer)
    gateway = manager.start(stack, secret, config)
    eventually(lambda: listens(gate), 20, 'the gate is open')
    eventually(lambda: sorted(manager.kept) == ['kept-dht-client', 'kept-dht-server'], 10, 'two are kept')
    assert gateway.stop() == 0
    assert not listens(gate)
    gateway = manager.start(stack, secret, config)
    gateway.says(f'gate {gate} open on 127.0.0.1')


if __name__ == '__main__':
    main()
