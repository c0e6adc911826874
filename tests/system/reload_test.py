# SPDX-License-Identifier: BSD-3-Clause
"""hypergate reload and SIGHUP: what changes, and that nobody else notices.

RELOADS, IDLE and MB in the environment make the first test larger: tests/README.md."""
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from harness import (MB, Service, answers, binary, connect, eventually, free_ports, how_it_ends, listens, main, new_secret,
                     pattern, read_all, serve_echo, start_dht, start_instance, test)
from udp_scene import Echo, ask, udp_socket

RELOADS, IDLE, SIZE = int(os.environ.get('RELOADS', 10)), int(os.environ.get('IDLE', 100)), int(os.environ.get('MB', 32)) * MB


def entry(gate_port, service_port, protocol='tcp'):
    return {'gatePort': gate_port, 'serviceHost': '127.0.0.1', 'servicePort': service_port, 'protocol': protocol}


class Router:
    """A provider and a gateway whose configurations change; .conf[role] is what they are, .instance[role] who runs."""

    def __init__(self, stack, services, gateway=None):
        secret, dht = new_secret(), start_dht(stack, 1)
        self.conf = {'provider': {'bootstrap': [dht], 'provider': {'services': services}},
                     'gateway': {'bootstrap': [dht], 'gateway': gateway or {'listen': '127.0.0.1'}}}
        self.instance = {role: start_instance(stack, role, secret, conf) for role, conf in self.conf.items()}

    def write(self, role, text=None):
        instance = self.instance[role]
        with open(instance.conf, 'w', encoding='utf-8') as file:
            file.write(text or json.dumps({'secretFile': instance.key, **self.conf[role]}))

    def ask(self, role):
        instance = self.instance[role]
        return subprocess.run([binary(), 'reload', role], capture_output=True, text=True, timeout=60,
                              env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})

    def reload(self, role):
        """Returns what hypergate said."""
        self.write(role)
        done = self.ask(role)
        assert done.returncode == 0, done
        return done.stdout

    def set_services(self, services):
        self.conf['provider']['provider']['services'] = services
        return self.reload('provider')


def wait_for_gates(*ports):
    for port in ports:
        eventually(lambda: answers(port), 20, f'gate {port}')


def serve_stream(connection):
    """SIZE bytes, which are made as they go; then whoever reads has read to the end."""
    block = pattern(7, MB)
    for _ in range(SIZE // MB):
        connection.sendall(block)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def stream_digest():
    hashed, block = hashlib.sha256(), pattern(7, MB)
    for _ in range(SIZE // MB):
        hashed.update(block)
    return hashed.hexdigest()


class Download(threading.Thread):
    """Reads the stream, as far as it .may."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.connection, self.may, self.hashed, self.got = connect(port, 300), 0, hashlib.sha256(), 0
        self.start()

    def run(self):
        while chunk := self.connection.recv(MB // 4):
            self.hashed.update(chunk)
            self.got += len(chunk)
            while self.got > self.may:
                time.sleep(0.001)


@test
def nobody_notices(stack):
    """a transfer and idle connections through reloads of both sides that add, change and remove what is beside them: not a byte is missing"""
    stream, echo, other = Service(stack, serve_stream), Service(stack, serve_echo), Service(stack, serve_echo)
    gates = free_ports(4)
    always = [entry(gates[0], stream.port), entry(gates[1], echo.port)]
    router = Router(stack, always)
    wait_for_gates(gates[1])
    before = {role: sorted(instance.workers('swarm') + instance.workers('router')) for role, instance in router.instance.items()}
    idle = [connect(gates[1], 60) for _ in range(IDLE)]
    for connection in idle:
        connection.sendall(b'1')
        assert connection.recv(1) == b'1'
    eventually(lambda: listens(gates[0]), 20, 'the gate of the stream')
    download = Download(gates[0])
    for number in range(RELOADS):
        download.may = SIZE * (number + 1) // (RELOADS + 1)     # some of it comes during each reload
        extra = [[], [entry(gates[2], other.port)], [entry(gates[2], echo.port), entry(gates[3], other.port)]][number % 3]
        router.conf['provider']['logLevel'] = router.conf['gateway']['logLevel'] = ['info', 'debug'][number % 2]
        router.conf['gateway']['gateway'] = {'listen': ['127.0.0.1', '127.0.0.2'][:1 + number % 2], 'udpSocketTimeoutMs': 10000 + number}
        said = router.set_services(always + extra)
        said += router.reload('gateway')
        print('#', said.replace('\n', '; '), f'{download.got // MB} MB')
        for connection in idle[number::RELOADS]:
            connection.sendall(b'2')
            assert connection.recv(1) == b'2'
    assert download.is_alive()
    download.may = SIZE
    download.join(300)
    assert download.got == SIZE and download.hashed.hexdigest() == stream_digest()
    for connection in idle:
        connection.sendall(b'3')
        assert connection.recv(1) == b'3'
    for role, instance in router.instance.items():
        assert before[role] == sorted(instance.workers('swarm') + instance.workers('router')), f'a worker of the {role} began anew'
        assert 'reloaded in' in instance.log()


@test
def services_come_change_and_go(stack):
    """services that come are reached, those that change are reached where they are now, and of those that go the connections end in order"""
    first, second = Service(stack, serve_echo), Service(stack, lambda connection: connection.sendall(b'second' + connection.recv(1)))
    one, two = free_ports(2)
    router = Router(stack, [entry(one, first.port)])
    wait_for_gates(one)
    held = connect(one)
    held.sendall(b'a')
    assert held.recv(1) == b'a'

    assert 'services: 1 more, 0 gone' in router.set_services([entry(one, first.port), entry(two, second.port)])
    eventually(lambda: listens(two), 20, 'the second gate')
    with connect(two) as client:
        client.sendall(b'!')
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b'second!'

    assert 'services: 1 more, 1 gone' in router.set_services([entry(one, second.port), entry(two, second.port)])
    with connect(one) as client:
        client.sendall(b'!')
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b'second!'
    held.sendall(b'b')
    assert held.recv(1) == b'b'

    assert 'services: 0 more, 1 gone' in router.set_services([entry(two, second.port)])
    with connect(one) as client:        # the gate waits whether it comes back; nobody is asked
        client.settimeout(0.5)
        client.sendall(b'!')
        assert how_it_ends(client) != 'end'
    held.sendall(b'c' * 100000)
    held.shutdown(socket.SHUT_WR)
    assert read_all(held) == b'c' * 100000
    assert 'nothing is different' in router.reload('provider')

    drop_in = router.instance['provider'].conf + '.d/10-more.yaml'
    os.mkdir(os.path.dirname(drop_in))
    with open(drop_in, 'w', encoding='utf-8') as file:
        json.dump({'provider': {'services': [entry(one, second.port)]}}, file)
    assert 'services: 1 more, 0 gone' in router.reload('provider')
    with connect(one) as client:
        client.sendall(b'!')
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b'second!'
    os.remove(drop_in)
    assert 'services: 0 more, 1 gone' in router.reload('provider')


@test
def gates_move_and_close(stack):
    """a gateway listens where it is told now, and closes what its services do not name any more, while who is connected goes on"""
    echo = Service(stack, serve_echo)
    one, two = free_ports(2)
    router = Router(stack, [entry(one, echo.port), entry(two, echo.port)])
    wait_for_gates(one, two)
    held = connect(two)
    held.sendall(b'a')
    assert held.recv(1) == b'a'
    router.conf['gateway']['gateway'] = {'listen': '127.0.0.1', 'except': [{'gatePort': f'{one}-{one}'}]}
    router.reload('gateway')
    assert not listens(one) and listens(two)
    router.conf['gateway']['gateway'] = {'listen': '127.0.0.2', 'services': [{'gatePort': one}]}
    router.reload('gateway')
    assert not listens(one) and not listens(two)
    with socket.create_connection(('127.0.0.2', one), timeout=20) as client:
        client.sendall(b'x')
        assert client.recv(1) == b'x'
    router.instance['gateway'].says('the configuration does not allow it any more')
    held.sendall(b'b')
    assert held.recv(1) == b'b'
    router.conf['gateway']['gateway'] = {'listen': ['127.0.0.1', '127.0.0.2']}
    router.reload('gateway')
    wait_for_gates(one, two)
    held.sendall(b'c')
    assert held.recv(1) == b'c'
    assert 'refused, the configuration' not in router.instance['gateway'].log()


@test
def a_gate_for_datagrams_moves(stack):
    """a gate for datagrams moves to all addresses and back, in the way of itself: it is open as soon as its worker has heard"""
    echo = Echo(stack)
    port, = free_ports(1)
    router = Router(stack, [entry(port, echo.port, 'udp')])

    def comes_back(host):
        with udp_socket(host) as client:
            client.connect((host, port))
            client.settimeout(0.2)
            return ask(client, b'x') == b'x'
    eventually(lambda: comes_back('127.0.0.1'), 20, 'the gate is open')
    for listen, host in (('0.0.0.0', '127.0.0.2'), ('127.0.0.3', '127.0.0.3')):
        router.conf['gateway']['gateway'] = {'listen': listen}
        router.reload('gateway')
        eventually(lambda: comes_back(host), 20, f'it is open at {listen}')
    log = router.instance['gateway'].log()
    assert "can't listen" not in log and log.count('open on') == 3


def echoes(connection):
    connection.sendall(b'a')
    return connection.recv(1) == b'a'


def welcome(port):
    """Whether who comes now is served."""
    with contextlib.suppress(OSError), connect(port) as client:
        return echoes(client)
    return False


@test
def limits_hold_for_who_comes(stack):
    """a gate has as many connections of a client as it may, from a reload on: who is there stays, and who leaves makes room"""
    echo = Service(stack, serve_echo)
    one, two = free_ports(2)
    router = Router(stack, [entry(one, echo.port), entry(two, echo.port)])
    wait_for_gates(one, two)
    held = [stack.enter_context(connect(one)) for _ in range(3)]
    assert all(echoes(connection) for connection in held)
    router.conf['gateway']['gateway'] = {'listen': '127.0.0.1', 'connectionsPerClient': 2}
    router.reload('gateway')
    assert not welcome(one) and welcome(two), 'each gate by itself'
    router.instance['gateway'].says(f'gate {one}: a client has 2 connections, as many as may be: more are reset')
    assert all(echoes(connection) for connection in held)
    for connection in held[:2]:
        connection.close()
    eventually(lambda: welcome(one), 20, 'room for one')
    router.conf['gateway']['gateway'] = {'listen': '127.0.0.1', 'connections': 1}
    router.reload('gateway')
    assert not welcome(one)
    router.conf['gateway']['gateway'] = {'listen': '127.0.0.1', 'connectionRatePerClient': 1}
    router.reload('gateway')
    assert [welcome(two) for _ in range(30)].count(False) > 0 and welcome(one), 'a burst, then one a second, at each gate'
    router.instance['gateway'].says(f'gate {two}: a client opens 1 connections a second, as many as may be: more are reset')
    router.conf['gateway']['gateway'] = {'listen': '127.0.0.1'}
    router.reload('gateway')
    assert welcome(one) and echoes(held[2])


@test
def a_provider_limits_each_gateway(stack):
    """a gateway has as many connections to all services of a provider as it may, from a reload on: more are reset, counted and told of"""
    echo = Service(stack, serve_echo)
    one, two = free_ports(2)
    router = Router(stack, [entry(one, echo.port), entry(two, echo.port)])
    wait_for_gates(one, two)

    def limited():
        instance = router.instance['provider']
        done = subprocess.run([binary(), 'status', '--json', 'provider'], check=True, capture_output=True, text=True,
                              env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
        return json.loads(done.stdout.splitlines()[0])['channelsEnded']['limit']

    held = [stack.enter_context(connect(port)) for port in (one, two, one)]
    assert all(echoes(connection) for connection in held) and limited() == 0
    router.conf['provider']['provider']['connectionsPerPeer'] = 3
    router.reload('provider')
    router.instance['provider'].says(': limits of provider')
    eventually(lambda: not welcome(one), 10, 'no room')         # those who asked whether the gate is open may not have left yet
    assert not welcome(two), 'all services together'
    router.instance['provider'].says(': has 3 connections to services here, as many as may be: more are refused')
    eventually(lambda: limited() >= 2, 10, 'they are counted')
    assert all(echoes(connection) for connection in held)
    held[0].close()
    eventually(lambda: welcome(two), 40, 'room for one')


@test
def a_bad_file_changes_nothing(stack):
    """a bad file: exit 78, each complaint with its place, in the log, too; all goes on as before, and a good one is taken later"""
    echo = Service(stack, serve_echo)
    one, two = free_ports(2)
    router = Router(stack, [entry(one, echo.port)])
    wait_for_gates(one)
    provider = router.instance['provider']
    router.write('provider',
                 f'secretFile: {provider.key}\nprovider:\n  services:\n    - {{gatePort: {one}, serviceHost: x}}\n  srvices: []\n')
    done = router.ask('provider')
    assert done.returncode == 78 and not done.stdout, done
    for where in (':4:', ':5:3: '):
        assert provider.conf + where in done.stderr and provider.conf + where in provider.log(), (done.stderr, provider.log())
    assert 'not reloaded: what runs stays as it is' in done.stderr
    assert answers(one)
    assert provider.process.poll() is None

    router.conf['provider']['port'] = 1
    router.write('provider')
    done = router.ask('provider')
    assert done.returncode == 0 and re.search(r':\d+:\d+: warning: port: this changes with a restart alone', done.stderr), done
    del router.conf['provider']['port']
    router.set_services([entry(one, echo.port), entry(two, echo.port)])
    wait_for_gates(one, two)

    os.remove(provider.conf)
    done = router.ask('provider')
    assert done.returncode == 78 and 'No such file' in done.stderr, done
    assert answers(two)
    done = subprocess.run([binary(), 'reload', 'nobody-of-that-name'], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'RUNTIME_DIRECTORY': provider.folder})
    assert done.returncode == 1, done


@test
def a_signal_does_the_same(stack):
    """SIGHUP: the same, told in the log alone; many at once, and one to an instance that has just begun, are no trouble"""
    echo = Service(stack, serve_echo)
    one, two = free_ports(2)
    router = Router(stack, [entry(one, echo.port)])
    provider = router.instance['provider']
    eventually(lambda: provider.workers('swarm'), 20, 'a worker')
    provider.process.send_signal(signal.SIGHUP)         # mostly before it is ready
    wait_for_gates(one)
    router.conf['provider']['provider']['services'].append(entry(two, echo.port))
    router.write('provider')
    for _ in range(20):
        provider.process.send_signal(signal.SIGHUP)
        time.sleep(0.005)
    wait_for_gates(one, two)
    provider.says('services: 1 more, 0 gone')


if __name__ == '__main__':
    main()
