# SPDX-License-Identifier: BSD-3-Clause
"""Services that misbehave, gateways that want the same port, and configurations that nobody means: each is told where it is, and what is
beside it goes on."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from harness import (Service, answers, binary, connect, eventually, free_ports, how_it_ends, listens, main, new_secret,
                     read_all, serve_echo, start_dht, start_instance, test)


def fill(stack, listener):
    """Its queue is full from now on: who connects gets no answer. Returns the port."""
    for _ in range(3):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    return listener.getsockname()[1]


def hole(stack):
    return fill(stack, stack.enter_context(socket.create_server(('127.0.0.1', 0), backlog=0)))


class Silent:
    """A service that answers no SYN until it is to .serve()."""

    def __init__(self, stack):
        self.stack, self.listener = stack, stack.enter_context(socket.create_server(('127.0.0.1', 0), backlog=0))
        self.port = fill(stack, self.listener)
        stack.callback(lambda: self.listener.fileno() < 0 or self.listener.shutdown(socket.SHUT_RDWR))

    def serve(self):
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.echo, args=self.listener.accept()[:1], daemon=True).start()

    @staticmethod
    def echo(connection):
        with connection, contextlib.suppress(OSError):
            serve_echo(connection)


def serve_nothing(connection):
    connection.close()


def serve_first(connection):
    """Speaks before it reads, as SMTP and SSH do."""
    connection.sendall(b'220 welcome\r\n')
    serve_echo(connection)


def serve_bytewise(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while byte := connection.recv(1):
        connection.sendall(byte)


class Scene:
    def __init__(self, stack, gateway=None):
        self.stack, self.secret, self.dht = stack, new_secret(), start_dht(stack, 1)
        services = {'echo': serve_echo, 'nothing': serve_nothing, 'first': serve_first, 'bytewise': serve_bytewise}
        ports = {name: Service(stack, serve).port for name, serve in services.items()} | {'hole': hole(stack)}
        self.gate = dict(zip(ports, free_ports(len(ports))))
        self.provider = start_instance(stack, 'provider', self.secret, {'bootstrap': [self.dht], 'provider': {'services': [
            {'gatePort': self.gate[name], 'serviceHost': '127.0.0.1', 'servicePort': port} for name, port in ports.items()]}})
        self.gateway = self.start_gateway('gateway', gateway)
        for port in self.gate.values():         # nobody has come yet
            self.gateway.says(f'gate {port} open on')

    def start_gateway(self, name, gateway=None):
        return start_instance(self.stack, name, self.secret,
                              {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1', **(gateway or {})}})


@test
def services_that_misbehave_disturb_nobody(stack):
    """a service that does not answer, one that closes at once, one that speaks first, one byte at a time: as if it were here, or reset in time"""
    scene = Scene(stack, {'openRequestTimeoutMs': 1000, 'routeFindingTimeoutMs': 3000})
    lost = [stack.enter_context(connect(scene.gate['hole'])) for _ in range(5)]
    assert answers(scene.gate['echo'])
    with connect(scene.gate['nothing']) as client:
        assert client.recv(1) == b''
    with connect(scene.gate['first']) as client:
        assert client.recv(100).startswith(b'220 ')
        client.sendall(b'HELO')
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b'HELO')
    with connect(scene.gate['bytewise']) as client:
        for i in range(200):
            client.sendall(bytes([i]))
            assert client.recv(1) == bytes([i])
    for client in lost:
        assert how_it_ends(client) == 'reset'
    assert answers(scene.gate['echo'])
    scene.gateway.says(f'gate {scene.gate["hole"]}: no provider is known or answers: clients are reset until that changes')


class Clients:
    """Some that ask for an echo at @port, side by side; what each got, after how many seconds."""

    def __init__(self, port, count):
        self.port, self.got = port, []
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        began = time.monotonic()
        try:
            with connect(self.port) as client:
                client.sendall(b'?')
                got = client.recv(1)
        except ConnectionResetError:
            got = 'reset'
        except OSError as error:
            got = error
        self.got.append((got, time.monotonic() - began))

    def all(self, wanted, at_once=0):
        """That is what they get, and so many of them in half the time that a service has."""
        for thread in self.threads:
            thread.join(40)
        assert [got for got, _ in self.got] == [wanted] * len(self.threads), self.got
        assert len([took for _, took in self.got if took < 5]) >= at_once, self.got
        return [took for _, took in self.got]


@test
def a_silent_service_costs_one_client_a_wait(stack):
    """a service that answers no SYN: one client waits, others are reset or served elsewhere at once; one that takes them may be silent"""
    secret, dht = new_secret(), start_dht(stack, 1)
    alone, shared, mute = free_ports(3)
    silent, spoken = [Silent(stack) for _ in range(2)], threading.Event()

    def serve_late(connection):
        connection.recv(1)
        spoken.wait(60)
        connection.sendall(b'late')

    def start(name, *services):
        return start_instance(stack, name, secret, {'bootstrap': [dht], 'provider': {'services': [
            {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, **more} for gate, service, more in services]}})

    provider = start('provider', (alone, silent[0], {}), (shared, silent[1], {}), (mute, Service(stack, serve_late), {}))
    start('other', (shared, Service(stack, serve_echo), {'priority': 1}))
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    gateway.says('connected to 2 providers')
    for gate in (alone, shared, mute):
        eventually(lambda: listens(gate), 20, f'gate {gate}')
    waiting = stack.enter_context(connect(mute, 60))
    waiting.sendall(b'?')

    first = Clients(alone, 1), Clients(shared, 1)
    waits = *first[0].all('reset'), *first[1].all(b'?')
    assert all(took > 9 for took in waits), waits
    provider.says(f'service {alone} at 127.0.0.1:{silent[0].port}: no answer within 10.0 s; who wants it is refused')
    provider.says(f'service {shared} at 127.0.0.1:{silent[1].port}: no answer within 10.0 s; who wants it is refused')
    then = Clients(alone, 10), Clients(shared, 10)      # a second later one asks the service again
    then[0].all('reset', 9)
    then[1].all(b'?', 9)

    for service in silent:
        service.serve()
    eventually(lambda: answers(alone), 40, 'the service that answers again')
    provider.says(f'service {alone} at 127.0.0.1:{silent[0].port} answers again')
    Clients(alone, 10).all(b'?', 10)
    spoken.set()
    assert read_all(waiting) == b'late'
    assert len([line for line in provider.log().splitlines() if 'no answer within' in line]) == 2


@test
def two_gateways_that_want_one_port(stack):
    """the second one says once that the port is in use, and the first one serves; when that is gone the second one takes over"""
    scene = Scene(stack)
    second = scene.start_gateway('second')
    second.says(f'gate {scene.gate["echo"]}: can\'t listen on 127.0.0.1: the port is in use')
    assert answers(scene.gate['echo'])
    assert scene.gateway.stop() == 0
    eventually(lambda: listens(scene.gate['echo']), 20, 'the second one takes over')
    assert answers(scene.gate['echo'])
    assert len([line for line in second.log().splitlines() if f'gate {scene.gate["echo"]}: can\'t listen' in line]) == 1


@test
def configurations_that_nobody_means(stack):
    """ports that are none, names of 64 KiB, wrong types, a thousand levels: 78, a line for each with its place, none of them long"""
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, folder)
    good = {'gatePort': 1, 'serviceHost': 'a', 'servicePort': 2}
    wrong = [{**good, key: value} for key, value in (
        ('gatePort', 0), ('gatePort', 70000), ('gatePort', -1), ('gatePort', 1.5), ('gatePort', '80'), ('gatePort', [80]), ('gatePort', 1e300),
        ('servicePort', 65536), ('servicePort', {}), ('servicePort', True), ('serviceHost', 'a' * 65536), ('serviceHost', 7 * [1]),
        ('serviceHost', ''), ('serviceHost', 'a\0b'), ('protocol', 'tpc'), ('protocol', 2), ('tags', 65536 * 'x'), ('tags', {'a': 1}),
        ('serviceHost', None), ('protocol', ['tcp']))]
    deep = '[' * 1000 + ']' * 1000
    for text in [json.dumps([entry]) for entry in wrong] + [deep, '{"services":' * 1000, '[{}' * 500, 'nul', '[1,', '"x"', '[[]]', '{}']:
        with open(os.path.join(folder, 's.json'), 'w', encoding='utf-8') as file:
            file.write(text)
        done = subprocess.run([binary(), '--provider', 's.json'], cwd=folder, capture_output=True, text=True, timeout=60,
                              env={**os.environ, 'HYPERGATE_ROUTER': new_secret()})
        lines = done.stderr.splitlines()
        assert done.returncode == 78 and not done.stdout and 1 <= len(lines) <= 4, (text[:80], done)
        assert all(re.match(r's\.json(:\d+:\d+)?: ', line) and len(line) < 500 for line in lines), (text[:80], lines)


if __name__ == '__main__':
    main()
