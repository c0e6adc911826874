# SPDX-License-Identifier: BSD-3-Clause
"""The secret of a router is exchanged while everything runs. MB in the environment: of the transfer that goes on meanwhile."""
import collections
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time

from harness import (MB, Service, answers, binary, connect, eventually, free_ports, how_it_ends, listens, main, new_secret, pattern,
                     serve_echo, start_dht, start_instance, test)

SIZE, IDLE = int(os.environ.get('MB', 200)) * MB, 20


def serve_stream(connection):
    """SIZE bytes, which are made as they go; then whoever reads has read to the end."""
    block = pattern(7, MB)
    for _ in range(SIZE // MB):
        connection.sendall(block)
    connection.recv(1)


class Download(threading.Thread):
    """Reads the stream, an eighth each time it is .allowed to."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.connection, self.allowed, self.hashed, self.got = connect(port, 300), threading.Semaphore(0), hashlib.sha256(), 0
        self.start()

    def run(self):
        for part in range(8):
            self.allowed.acquire()
            while self.got < SIZE * (part + 1) // 8:
                block = self.connection.recv(MB)
                if not block:
                    return
                self.hashed.update(block)
                self.got += len(block)


def ask(instance, *words):
    done = subprocess.run([binary(), *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
    assert done.returncode == 0, done
    return done.stdout


def own(path):
    """The instance may read it anew as who it is."""
    if os.geteuid() == 0:
        shutil.chown(path, os.environ.get('HYPERGATE_USER', 'nobody'))


def give(instance, text):
    """Puts @text in the place of its secret, as a copy from another machine would be."""
    with open(os.open(instance.key + '.copy', os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
        file.write(text)
    own(instance.key + '.copy')
    os.rename(instance.key + '.copy', instance.key)


def secret_of(instance):
    with open(instance.key) as file:
        return file.read()


def reload(instance):
    said = ask(instance, 'reload', instance.name)
    assert 'reloaded in' in said, said
    instance.says(': the router secret')


def status(instance):
    return json.loads(ask(instance, 'status', '--json', instance.name).splitlines()[0])


def outdated(instance):
    return status(instance)['peers']['previousSecret']


def at(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))


def entry(gate_port, service):
    return {'gatePort': gate_port, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}


def start(stack, name, secret, conf):
    instance = start_instance(stack, name, secret, conf)
    own(instance.key)
    return instance


@test
def nobody_notices(stack):
    """a transfer and idle connections go on while the secret is exchanged, on one side first, and after the old one counts no more"""
    gates, dht, secret = free_ports(2), start_dht(stack, 1), new_secret()
    services = [entry(gates[0], Service(stack, serve_stream)), entry(gates[1], Service(stack, serve_echo))]
    provider = start(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': services}})
    gateway = start(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    for port in gates:
        eventually(lambda: listens(port), 20, f'gate {port}')
    workers = {instance: instance.workers('swarm') for instance in (provider, gateway)}
    before, idle = status(provider), [connect(gates[1], 60) for _ in range(IDLE)]
    for connection in idle:
        connection.sendall(b'1')
        assert connection.recv(1) == b'1'
    download = Download(gates[0])

    said = ask(provider, 'rotate', provider.key)
    assert secret not in said and 'hypergate reload' in said and secret in secret_of(provider)
    assert os.stat(provider.key).st_mode & 0o777 == 0o600
    download.allowed.release()
    reload(provider)
    after = status(provider)
    assert after['router'] != before['router'] and after['providerKey'] == before['providerKey'], (before, after)
    assert [one['router'] for one in after['previousRouters']] == [before['router']], after
    eventually(lambda: outdated(provider) == 1, 10, 'the gateway is seen to know the old secret only')
    assert 'knows a previous secret only' in ask(provider, 'peers', 'provider')
    download.allowed.release()

    give(gateway, secret_of(provider))
    reload(gateway)
    for instance in (provider, gateway):
        eventually(lambda: outdated(instance) == 0, 10, f'the {instance.name} sees that both know the new secret')
    download.allowed.release()

    new = secret_of(provider).split()[0]
    give(provider, f'{new}\n{secret} until {at(2)}\n')
    reload(provider)
    provider.says('a previous router secret counts no more')
    assert not status(provider)['previousRouters']
    give(gateway, f'{new}\n')
    reload(gateway)
    for _ in range(5):
        assert download.is_alive()
        download.allowed.release()
    download.join(120)
    block, expected = pattern(7, MB), hashlib.sha256()
    for _ in range(SIZE // MB):
        expected.update(block)
    assert download.got == SIZE and download.hashed.hexdigest() == expected.hexdigest()
    for connection in idle:
        connection.sendall(b'2')
        assert connection.recv(1) == b'2'
    assert answers(gates[1])
    for instance in (provider, gateway):
        assert instance.workers('swarm') == workers[instance], f'the swarm worker of the {instance.name} began anew'
        assert new not in instance.log() and secret not in instance.log()


def routes_over(instance):
    """How many channels of each of its workers go to each peer."""
    told = [json.loads(line) for line in ask(instance, 'channels', '--json', instance.name).splitlines()]
    return collections.Counter((one['worker'], one['peer']) for one in told if one['type'] == 'channel')


@test
def nobody_notices_with_several_cores(stack):
    """two swarm workers on each side, the gateway's secret first: connections over all four ways between them go on, and new ones come"""
    gate, dht, secret = *free_ports(1), start_dht(stack, 1), new_secret()
    base = {'bootstrap': [dht], 'cores': 2}
    provider = start(stack, 'provider', secret, {**base, 'provider': {'services': [entry(gate, Service(stack, serve_echo))]}})
    gateway = start(stack, 'gateway', secret, {**base, 'gateway': {'listen': '127.0.0.1'}})
    for instance in (provider, gateway):
        instance.says('ready: ')
    eventually(lambda: ask(gateway, 'routes', '--json', 'gateway').count('"gatePort"') == 4, 20, 'all four ways')
    workers = {instance: instance.workers('swarm') for instance in (provider, gateway)}
    idle = [stack.enter_context(connect(gate, 60)) for _ in range(8)]

    def all_echo(byte):
        for connection in idle:
            connection.sendall(byte)
            assert connection.recv(1) == byte, byte

    all_echo(b'1')
    assert sorted(routes_over(gateway).values()) == [2, 2, 2, 2], routes_over(gateway)
    ask(gateway, 'rotate', gateway.key)
    reload(gateway)
    eventually(lambda: outdated(gateway) == 2, 20, 'neither of the provider has shown the new secret')
    all_echo(b'2')
    give(provider, secret_of(gateway))
    reload(provider)
    new = secret_of(gateway).split()[0]
    for instance in (gateway, provider):
        eventually(lambda: outdated(instance) == 0, 20, f'the {instance.name} sees that all know the new secret')
        give(instance, f'{new}\n')
    for instance in (gateway, provider):
        reload(instance)
        assert not status(instance)['previousRouters']
    all_echo(b'3')
    assert all(instance.workers('swarm') == workers[instance] for instance in workers)
    assert sorted(routes_over(gateway).values()) == [2, 2, 2, 2], routes_over(gateway)
    late = [stack.enter_context(connect(gate, 60)) for _ in range(4)]
    idle += late
    all_echo(b'4')


@test
def who_kept_the_old_secret(stack):
    """is served as long as that counts, whether it was there or comes; then it is let go, comes in no more, and does by the new one"""
    port, dht, old, new = *free_ports(1), start_dht(stack, 1), new_secret(), new_secret()
    provider = start(stack, 'provider', old, {'bootstrap': [dht], 'provider': {'services': [entry(port, Service(stack, serve_echo))]}})

    def start_gateway(name, secret, host):
        return start(stack, name, secret, {'bootstrap': [dht], 'gateway': {'listen': host}})

    def served(host):
        try:
            with connect_to(host, port) as connection:
                connection.sendall(b'1')
                return connection.recv(1) == b'1'
        except OSError:
            return False

    there = start_gateway('there', old, '127.0.0.1')
    eventually(lambda: served('127.0.0.1'), 20, 'the first gateway')
    idle = connect_to('127.0.0.1', port)
    idle.sendall(b'1')
    assert idle.recv(1) == b'1'
    give(provider, f'{new}\n{old} until {at(1000)}\n')
    reload(provider)
    late = start_gateway('late', old, '127.0.0.2')
    fresh = start_gateway('fresh', new, '127.0.0.3')
    for host in ('127.0.0.2', '127.0.0.3'):
        eventually(lambda: served(host), 20, f'the gateway of {host}')
    assert served('127.0.0.1')
    eventually(lambda: outdated(provider) == 2, 10, 'two gateways know the old secret only')

    give(provider, f'{new}\n{old} until {at(-1)}\n')     # over when it is read, as any time may be on a machine that is busy
    reload(provider)
    provider.says('a previous router secret counts no more: 2 peers that had shown no newer one are let go')
    assert how_it_ends(idle) in ('end', 'reset')
    for gateway in (there, late):
        eventually(lambda: not status(gateway)['peers']['providers'], 20, f'the {gateway.name} gateway is alone')
    eventually(lambda: status(provider)['peers']['gateways'] == 1, 20, 'one gateway is left')
    assert served('127.0.0.3')

    give(there, f'{new}\n')
    reload(there)
    eventually(lambda: served('127.0.0.1'), 40, 'the first gateway, by the new secret')    # it may have been shut out for 5 s, and not have been answered
    eventually(lambda: status(provider)['peers']['gateways'] == 2, 20, 'two gateways are there again')
    assert not status(late)['peers']['providers']
    assert fresh.process.poll() is None


@test
def nothing_is_carried(stack):
    """who knows the old secret only is counted also where there is no connection to a service, and no more when it knows the new one"""
    dht, old, new = start_dht(stack, 1), new_secret(), new_secret()
    provider = start(stack, 'provider', old, {'bootstrap': [dht], 'provider': {'services': []}})
    gateway = start(stack, 'gateway', old, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    provider.says('connected to 1 gateway')
    give(provider, f'{new}\n{old} until {at(1000)}\n')
    reload(provider)
    eventually(lambda: outdated(provider) == 1, 10, 'the gateway knows the old secret only')
    give(gateway, f'{new}\n')
    reload(gateway)
    eventually(lambda: outdated(provider) == 0, 10, 'it knows the new one')


@test
def root_hands_it_over(stack):
    """to an instance that may not read the file; nobody else does, nothing else is taken, and what is wrong with it is told with its place"""
    port, dht, old, new = *free_ports(1), start_dht(stack, 1), new_secret(), new_secret()
    gateway = start_instance(stack, 'gateway', old,
                             {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1', 'services': [{'gatePort': port}]}})
    gateway.says('ready: ')
    before = status(gateway)
    with open(gateway.key, 'w') as file:
        file.write(f'{new}\n{old} until {at(1000)}\n')

    def hand(expected, *words):
        done = subprocess.run([binary(), 'reload', '--secret-file', gateway.key, *words], capture_output=True, text=True, timeout=60,
                              env={**os.environ, 'RUNTIME_DIRECTORY': gateway.folder})
        assert done.returncode == expected, done
        return done.stdout + done.stderr

    if os.geteuid() != 0:
        assert 'only root hands a secret over' in hand(1, 'gateway')
        return
    assert 'name the instance' in hand(64)
    assert 'reloaded in' in hand(0, 'gateway')
    after = status(gateway)
    assert after['router'] != before['router'] and [one['router'] for one in after['previousRouters']] == [before['router']], after
    assert '"hypergate reload --secret-file", as root' in subprocess.run(
        [binary(), 'reload', 'gateway'], capture_output=True, text=True, env={**os.environ, 'RUNTIME_DIRECTORY': gateway.folder}).stderr
    assert status(gateway)['router'] == after['router']
    with open(gateway.key, 'w') as file:
        file.write(f'{new}\n{old} until tomorrow\n')
    assert '--secret-file:2:72: a previous secret: until: expected a time' in hand(78, 'gateway')
    os.chmod(gateway.key, 0o640)
    assert 'open to others than its owner' in hand(66, 'gateway')
    for said, answer in {b'reload secret\n': 'came not as a sealed memory file', b'reload\n': 'nobody has asked for'}.items():
        with socket.socket(socket.AF_UNIX) as conn, open(gateway.key) as file:
            conn.settimeout(30)
            conn.connect(os.path.join(gateway.folder, 'gateway.sock'))
            socket.send_fds(conn, [said], [file.fileno()])
            assert answer in conn.makefile().read(), answer
    assert status(gateway)['router'] == after['router']
    assert new not in gateway.log() and old not in gateway.log()


def connect_to(host, port):
    return socket.create_connection((host, port), timeout=20)


if __name__ == '__main__':
    main()
