# SPDX-License-Identifier: BSD-3-Clause
"""Services that misbehave, gateways that want the same port, and configurations that nobody means: each is told where it is, and what is
beside it goes on."""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

from harness import (Service, answers, binary, connect, eventually, free_ports, how_it_ends, listens, main, new_secret, read_all, serve_echo,
                     start_dht, start_instance, test)


def hole(stack):
    """The port of a service whose queue is full: who connects gets no answer."""
    listener = stack.enter_context(socket.create_server(('127.0.0.1', 0), backlog=0))
    for _ in range(3):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    return listener.getsockname()[1]


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
        return start_instance(self.stack, name, self.secret, {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1', **(gateway or {})}})


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
