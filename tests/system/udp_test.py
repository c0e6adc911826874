# SPDX-License-Identifier: BSD-3-Clause
"""Services and gates of protocol udp: datagrams stay whole, clients are kept apart, sessions end by themselves."""
import os
import signal
import socket
import threading
import time

from harness import (answers, digest, eventually, free_ports, main, new_secret, pattern, serve_echo, Service, start_dht,
                     start_instance, test)

LARGEST = 65507
CLIENTS = 24
PASSERS_BY = 6000               # more than a gate keeps sessions


def udp_socket(host):
    return socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM)


def has(host):
    """Whether this machine has that address: some have no IPv6."""
    try:
        with udp_socket(host) as probe:
            probe.bind((host, 0))
        return True
    except OSError:
        return False


class Echo:
    """A UDP service that sends back what comes; .seen is who asked."""

    def __init__(self, stack, port=0, host='127.0.0.1'):
        self.seen = set()
        self.socket = udp_socket(host)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((host, port))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self.closing = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        stack.callback(self.close)

    def run(self):
        while not self.closing:
            try:
                data, client = self.socket.recvfrom(65536)
                self.seen.add(client)
                self.socket.sendto(data, client)
            except TimeoutError:
                pass
        self.socket.close()

    def close(self):
        self.closing = True
        self.thread.join()


class Scene:
    """A DHT, a provider of one UDP echo, at @host by the name @name, and, at the same gate port, a TCP echo; a gateway."""

    def __init__(self, stack, host='127.0.0.1', name=None, listen='127.0.0.1', **options):
        dht, secret = start_dht(stack), new_secret()
        self.echo, tcp = Echo(stack, host=host), Service(stack, serve_echo)
        self.port, = free_ports(1)
        services = [{'gatePort': self.port, 'serviceHost': to, 'servicePort': port, 'protocol': protocol}
                    for protocol, to, port in (('udp', name or host, self.echo.port), ('tcp', '127.0.0.1', tcp.port))]
        self.provider = start_instance(stack, 'provider', secret,
                                       {'bootstrap': [dht], 'provider': {'services': services, **options}})
        self.gateway = start_instance(stack, 'gateway', secret,
                                      {'bootstrap': [dht], 'gateway': {'listen': listen, **options}})
        eventually(lambda: answers(self.port), 20, 'the gate is open')
        eventually(self.echoes, 20, 'datagrams come back')

    def client(self, host='127.0.0.1'):
        """Connected: it hears what comes from there, and nothing else."""
        client = udp_socket(host)
        client.connect((host, self.port))
        client.settimeout(0.5)
        return client

    def echoes(self):
        with self.client() as client:
            return ask(client, b'are you there?') == b'are you there?'


def ask(client, data):
    """What comes back, or None: a datagram may be lost."""
    try:
        client.send(data)
        return client.recv(65536)
    except OSError:
        return None


@test
def weakness_14_29_datagrams_stay_whole(stack):
    """weakness 14.29: datagrams of any size arrive whole, the empty one and the largest too; the same port serves TCP beside"""
    scene = Scene(stack)
    with scene.client() as client:
        for size in (0, 1, 1199, 1200, 1472, 9000, 61440, 61441, 65000, LARGEST):
            data = pattern(f'datagram {size}', size)
            got = eventually(lambda: [ask(client, data)], 5, f'{size} bytes')[0]
            assert got is not None and digest(got) == digest(data), f'{size} bytes sent, {got and len(got)} back'
        assert len(scene.echo.seen) <= 2, 'one client is one session'
    assert answers(scene.port)


@test
def answers_come_from_where_the_question_went(stack):
    """a gate at all addresses and at ::1 answers from the one that was asked; the service is at ::1, too"""
    v6 = ['::1'] if has('::1') else []
    scene = Scene(stack, host=(v6 or ['127.0.0.1'])[0], listen=['0.0.0.0', *v6])
    for host in ('127.0.0.1', '127.0.0.2', *v6):
        with scene.client(host) as client:
            for size in (5, 0, LARGEST):
                data = pattern(f'{host} {size}', size)
                got = eventually(lambda: [ask(client, data)], 5, f'{size} bytes from {host}')[0]
                assert got is not None and digest(got) == digest(data), f'{host}: {size} bytes sent, {got and len(got)} back'


@test
def a_service_that_is_not_there_is_missed_and_found_again(stack):
    """a closed port ends the session at once; the log says it once; when the service is back the client's next datagrams reach it"""
    scene = Scene(stack)
    with scene.client() as client:
        assert ask(client, b'one') == b'one'
        scene.echo.close()
        for _ in range(5):
            assert ask(client, b'is anybody there?') is None
        line = f'service {scene.port}/udp at 127.0.0.1:{scene.echo.port}: nobody is at 127.0.0.1:{scene.echo.port}'
        eventually(lambda: line in scene.provider.log(), 5, 'the log says so')
        assert scene.provider.log().count('nobody is at') == 1
        Echo(stack, scene.echo.port)
        eventually(lambda: ask(client, b'two') == b'two', 5, 'it is found again')


@test
def clients_are_kept_apart(stack):
    """each of many clients gets its own answers, in order, and nobody else's; the service is known by a name"""
    scene = Scene(stack, name='localhost')
    before = set(scene.echo.seen)
    clients = [scene.client() for _ in range(CLIENTS)]
    for round_number in range(20):
        for number, client in enumerate(clients):
            client.send(f'{number} {round_number}'.encode())
        for number, client in enumerate(clients):
            assert client.recv(100) == f'{number} {round_number}'.encode()
    assert len(scene.echo.seen - before) == CLIENTS
    for client in clients:
        client.close()


@test
def sessions_end_when_silent(stack):
    """a silent session ends after the configured time, at both sides; its client begins another one"""
    scene = Scene(stack, udpSocketTimeoutMs=1000)
    with scene.client() as client:
        before = set(scene.echo.seen)
        for _ in range(5):
            assert ask(client, b'one') == b'one'
            time.sleep(0.3)             # less than the limit
        assert len(scene.echo.seen - before) == 1, 'a session that is used goes on'
        time.sleep(3)
        held = [len(os.listdir(f'/proc/{pid}/fd')) for pid in scene.provider.tree()]
        eventually(lambda: ask(client, b'two') == b'two', 5, 'it is served again')
        assert len(scene.echo.seen - before) == 2, 'with a new session'
        eventually(lambda: [len(os.listdir(f'/proc/{pid}/fd')) for pid in scene.provider.tree()] == held, 10,
                   'no descriptor stays')


@test
def workers_die_and_datagrams_come_back(stack):
    """any worker killed: datagrams pass again without help"""
    scene = Scene(stack)
    for side in (scene.provider, scene.gateway):
        for role in ('swarm', 'router', 'forward'):
            for pid in side.workers(role):
                os.kill(pid, signal.SIGKILL)
            eventually(scene.echoes, 15, f'{role} of the {side.name}: datagrams come back')


@test
def weakness_14_10_passers_by(stack):
    """weakness 14.10: thousands of sources that speak once take no place from a client that goes on"""
    scene = Scene(stack)
    workers = scene.gateway.workers('forward')
    with scene.client() as client:
        for _ in range(3):
            assert ask(client, b'steady') == b'steady'
        for number in range(PASSERS_BY):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passer_by:
                passer_by.bind((f'127.0.{1 + number // 250}.{1 + number % 250}', 0))
                passer_by.sendto(b'once', ('127.0.0.1', scene.port))
        eventually(lambda: ask(client, b'steady') == b'steady', 10, 'the steady client is served')
    eventually(scene.echoes, 10, 'and so are new ones')
    assert scene.gateway.workers('forward') == workers, 'whoever dropped them lives'


main()
