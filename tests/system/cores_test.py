# SPDX-License-Identifier: BSD-3-Clause
"""Several swarm workers in an instance: all of them carry clients, and each takes only its own with it."""
import collections
import json
import os
import signal
import socket
import subprocess

from harness import Pair, Service, answers, binary, connect, eventually, free_ports, how_it_ends, main, new_secret, \
    serve_echo, start_instance, test


class Cores(Pair):
    also = {'cores': 2}


def ask(instance, command):
    done = subprocess.run([binary(), command, '--json'], capture_output=True, text=True, timeout=20,
                          env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


def ways(instance):
    """Its connections to peers, as pairs of a peer's key and the worker that has it."""
    return {(one['key'], one['worker']) for one in ask(instance, 'peers') if 'key' in one and 'worker' in one}


def carried(instance):
    """How many channels each of its workers has."""
    return collections.Counter(one['worker'] for one in ask(instance, 'channels') if 'gatePort' in one)


def reached_through(instance, role):
    """Its workers that others reach through nodes of the DHT; what `hypergate doctor` asks."""
    with socket.socket(socket.AF_UNIX) as conn:
        conn.settimeout(20)
        conn.connect(os.path.join(instance.folder, f'{instance.name}.sock'))
        conn.sendall(b'relays\n')
        said = [json.loads(line) for line in conn.makefile()]
    return {one['worker'] for one in said if one['type'] == 'relays' and one[role]}


def echoes(connection):
    connection.sendall(b'there?')
    return connection.recv(64) == b'there?'


@test
def spread(stack):
    """two swarm workers on each side: clients take turns over all four ways, a worker's death ends its own alone, and it comes back"""
    pair = Cores(stack, echo=serve_echo)
    for side in pair.gateway, pair.provider:
        eventually(lambda: len(ways(side)) == 4, 20, f'{side.name}: two workers connected to two each')
        assert len({key for key, _ in ways(side)}) == 2 and len(side.workers('swarm')) == 2
    clients = [connect(pair.gate['echo']) for _ in range(8)]
    assert all(map(echoes, clients))
    for side in pair.gateway, pair.provider:
        eventually(lambda: carried(side) == {1: 4, 2: 4}, 10, f'{side.name}: four each')       # who looked whether the gate is open may just be leaving
    for side, role in (pair.gateway, 'gateway'), (pair.provider, 'provider'):
        eventually(lambda: reached_through(side, role) == {1, 2}, 20, f'{side.name}: each worker is reached through nodes of its own')
    assert [one['peers']['providers'] for one in ask(pair.gateway, 'status') if 'peers' in one] == [2]
    for side in pair.gateway, pair.provider:
        victim = side.workers('swarm')[1]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in side.workers('swarm'), 10, 'it is gone')
        alive, dead = [], []
        for client in clients:
            client.settimeout(20)
            try:
                (alive if echoes(client) else dead).append(client)
            except OSError:
                dead.append(client)
        assert len(alive) == len(clients) // 2, f'{side.name}: {len(alive)} of {len(clients)} live'
        assert all(how_it_ends(client) != 'nothing' for client in dead)
        clients = alive
        assert answers(pair.gate['echo']), 'new ones are served meanwhile'
        eventually(lambda: len(ways(side)) == 4, 30, f'{side.name}: the worker is back, and connected')


@test
def first_of_a_network(stack):
    """no node to ask: the first worker's node is the network, which the second joins, and a gateway finds both"""
    port, gate = free_ports(2)
    secret = new_secret()
    address = f'127.0.0.1:{port}'
    service = Service(stack, serve_echo)
    provider = start_instance(stack, 'provider', secret, {
        'bootstrap': [], 'cores': 2, 'host': '127.0.0.1', 'port': port, 'dht': {'persistent': True, 'public': address},
        'provider': {'services': [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [address], 'gateway': {'listen': '127.0.0.1'}})
    eventually(lambda: len(ways(gateway)) == 2, 30, 'both workers of the provider are found')
    eventually(lambda: answers(gate), 20, 'the gate is served')
    assert len(ways(provider)) == 2


if __name__ == '__main__':
    main()
