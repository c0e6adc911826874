# SPDX-License-Identifier: BSD-3-Clause
"""Killing any worker breaks only what it carried, visibly, and service returns by itself."""
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time

from harness import (MB, Pair, Process, answers, binary, connect, digest, eventually, free_ports, how_it_ends, listens, main, new_secret,
                     pattern, program, read_all, sanitized, serve_bytes, serve_echo, start_dht, start_instance, status, test, Service)


def kill_worker(instance, role, which=0):
    pid = instance.workers(role)[which]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: program(pid) != f'hypergate-{role}', 5, f'{role} {pid} is gone')
    return pid


def speaks(connection, text):
    connection.sendall(text)
    got = b''
    while len(got) < len(text):
        chunk = connection.recv(1000)
        assert chunk, 'an early end'
        got += chunk
    assert got == text


def check_swarm_killed(stack, side):
    pair = Pair(stack, echo=serve_echo)
    running = connect(pair.gate['echo'])
    speaks(running, b'before')
    began = time.monotonic()
    instance = getattr(pair, side)
    kill_worker(instance, 'swarm')
    assert how_it_ends(running) == 'reset', 'a broken connection must not look like a clean end'
    eventually(lambda: answers(pair.gate['echo']), 15, 'service returns')
    took = time.monotonic() - began
    assert took < 5, f'service was away for {took:.1f} s'
    assert instance.says('swarm'), 'the supervisor says which worker died'
    eventually(lambda: len(instance.says(', path near, ')) >= 2, 10, 'and the worker how the peer was reached, before and after')


@test
def swarm_of_the_gateway(stack):
    """the gateway's swarm worker is killed: clients see a reset, service is back within 5 s"""
    check_swarm_killed(stack, 'gateway')


@test
def swarm_of_the_provider(stack):
    """the provider's swarm worker is killed: clients see a reset, service is back within 5 s"""
    check_swarm_killed(stack, 'provider')


def check_others_killed(stack, side, role):
    pair = Pair(stack, echo=serve_echo, bulk=serve_bytes(pattern('bulk', 30 * MB)))
    running = connect(pair.gate['echo'])
    speaks(running, b'before')
    bulk = connect(pair.gate['bulk'], 60)
    begun = bulk.recv(1000)
    for which in range(len(getattr(pair, side).workers(role))):
        kill_worker(getattr(pair, side), role, 0 if which == 0 else -1)
    began = time.monotonic()
    eventually(lambda: answers(pair.gate['echo']), 5, 'new connections')
    took = time.monotonic() - began
    assert took < 1, f'new connections were away for {took:.1f} s'
    speaks(running, b'after')
    assert digest(begun + read_all(bulk)) == digest(pattern('bulk', 30 * MB)), 'what ran goes on, whole'


@test
def router_of_the_gateway(stack):
    """the gateway's router worker is killed: everything goes on"""
    check_others_killed(stack, 'gateway', 'router')


@test
def router_of_the_provider(stack):
    """the provider's router worker is killed: everything goes on"""
    check_others_killed(stack, 'provider', 'router')


@test
def forward_of_the_gateway(stack):
    """the gateway's forward workers are killed: connections go on, new ones within 1 s"""
    check_others_killed(stack, 'gateway', 'forward')


@test
def forward_of_the_provider(stack):
    """the provider's forward workers are killed: connections go on, new ones within 1 s"""
    check_others_killed(stack, 'provider', 'forward')


@test
def resolver(stack):
    """the resolve worker is killed: everything goes on, and it comes back"""
    pair = Pair(stack, echo=serve_echo)
    for instance in (pair.provider, pair.gateway):
        old = kill_worker(instance, 'resolve')
        eventually(lambda: [pid for pid in instance.workers('resolve') if pid != old], 5, 'a new resolve worker')
    assert answers(pair.gate['echo'])


@test
def provider_restart(stack):
    """a provider that stops and starts again, in order or killed, is found again"""
    pair = Pair(stack, echo=serve_echo)
    assert pair.provider.stop() == 0
    pair.provider = pair.start_provider()
    eventually(lambda: answers(pair.gate['echo']), 10, 'after an orderly restart')
    tree = pair.provider.tree()
    pair.provider.process.kill()
    pair.provider.process.wait()
    eventually(lambda: not [pid for pid in tree if program(pid).startswith('hypergate')], 5, 'workers end with their supervisor')
    pair.provider = pair.start_provider()
    eventually(lambda: answers(pair.gate['echo']), 30, 'after a kill')


@test
def farewell(stack):
    """who is stopped tells its peers, and they say of it that it has left, not that it was lost"""
    pair = Pair(stack, echo=serve_echo)
    client = connect(pair.gate['echo'])
    speaks(client, b'before')
    assert pair.provider.stop() == 0
    pair.gateway.says('leaves, what runs may finish')       # there was a client
    pair.gateway.says('has left')
    client.close()
    pair.provider = pair.start_provider()
    eventually(lambda: answers(pair.gate['echo']), 10, 'after an orderly restart')
    assert pair.gateway.stop() == 0                         # nobody is there
    pair.provider.says('has left')
    for instance in (pair.gateway, pair.provider):
        assert 'connection is lost' not in instance.log(), instance.log()


@test
def one_of_several(stack):
    """of services that share a gate port, those that the gateway's filter leaves out are not reached"""
    other, wanted = Service(stack, lambda connection: connection.sendall(b'other')), Service(stack, lambda connection: connection.sendall(b'wanted'))
    secret, dht, gate = new_secret(), start_dht(stack), free_ports(1)[0]
    services = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp', 'tags': tags}
                for service, tags in ((other, 'one'), (wanted, 'two'))]
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': services}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1', 'services': [{'tags': 'two'}]}})
    eventually(lambda: listens(gate), 20, 'the gate')
    for _ in range(6):
        with connect(gate, 20) as client:
            assert client.recv(16) == b'wanted'


@test
def nothing_left(stack):
    """an orderly stop ends all processes and closes the gates"""
    pair = Pair(stack, echo=serve_echo)
    assert answers(pair.gate['echo'])       # a gate listens before the worker that serves it is up
    for instance in (pair.gateway, pair.provider):
        tree = instance.tree()
        assert len(tree) >= 5
        assert instance.stop() == 0
        assert not [pid for pid in tree if program(pid).startswith('hypergate')]
    assert not listens(pair.gate['echo'])


@test
def walls(stack):
    """each worker is confined: seccomp, no new privileges, no capability, not root, not dumpable, no core"""
    pair = Pair(stack, echo=serve_echo)
    for instance in (pair.gateway, pair.provider):
        for role in ('swarm', 'router', 'forward', 'resolve'):
            # A gate listens before the worker that serves it is up.
            for pid in eventually(lambda: instance.workers(role), 5, f'a {role} worker'):
                eventually(lambda: status(pid)['Seccomp'] == '2', 5, f'a seccomp filter around {role}')
                facts = status(pid)
                assert facts['NoNewPrivs'] == '1', role
                for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
                    # Dropping the bounding set needs a capability that an unprivileged supervisor never had.
                    assert int(facts[kind], 16) == 0 or (kind == 'CapBnd' and os.getuid() != 0), f'{role}: {kind} {facts[kind]}'
                assert '0' not in facts['Uid'].split(), f'{role} runs as root'
                with open(f'/proc/{pid}/limits') as limits:
                    core = [line.split() for line in limits if line.startswith('Max core file size')][0]
                assert core[4] == '0', f'{role}: core {core}'
                # Who is not dumpable belongs to root in /proc, whoever runs it, and his own user may not look.
                # (The leak checker traces its own process.)
                ours = os.stat(f'/proc/{pid}/maps').st_uid != 0 if os.getuid() == 0 else os.access(f'/proc/{pid}/environ', os.R_OK)
                assert sanitized() or not ours, f'{role} is dumpable'
                if os.getuid() == 0:    # nobody else may look
                    with open(f'/proc/{pid}/environ', 'rb') as environment:
                        assert environment.read() == b'', f'{role} has an environment'


@test
def secrets_stay(stack):
    """the secret is in no argument, no environment and no log"""
    pair = Pair(stack, echo=serve_echo)
    secret = pair.secret.encode()
    for instance in (pair.gateway, pair.provider):
        for pid in instance.tree():
            for name in ('cmdline', 'environ') if os.getuid() == 0 else ('cmdline',):
                with contextlib.suppress(ProcessLookupError, FileNotFoundError), open(f'/proc/{pid}/{name}', 'rb') as file:     # some end soon
                    assert secret not in file.read(), f'{program(pid)}: {name}'
        assert pair.secret not in instance.log()


def announced(pair):
    """Keys of those that are at the router, for whoever asks the DHT."""
    with tempfile.NamedTemporaryFile('w') as file:
        file.write(pair.secret + '\n')
        file.flush()
        done = subprocess.run([binary(), 'scan', '--json', '--secret-file', file.name, '--bootstrap', pair.dht], capture_output=True,
                              text=True, timeout=60)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said and said[-1]['type'] == 'end' and not said[-1]['timeUp'], done
    return {one['key'] for one in said if one['type'] == 'peer'}


def serve_as_told(connection):
    """An echo; who says so is reset."""
    while chunk := connection.recv(65536):
        if chunk == b'reset':
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return
        connection.sendall(chunk)
    connection.shutdown(socket.SHUT_WR)


@test
def weakness_14_32_clients_stay_out_of_the_log(stack):
    """nobody who was served is named in a log, not even by a stop, which waits until all of it is over: nothing of it is in the DHT then"""
    pair = Pair(stack, echo=serve_as_told)
    instances = (pair.gateway, pair.provider)
    for instance in instances:
        instance.says('ready')
    assert answers(pair.gate['echo'])
    staying, done, reset, leaving = clients = [connect(pair.gate['echo']) for _ in range(4)]
    names = [f'127.0.0.1:{client.getsockname()[1]}' for client in clients]
    for client in clients:
        speaks(client, b'served')
    done.shutdown(socket.SHUT_WR)
    reset.sendall(b'reset')
    assert (how_it_ends(done), how_it_ends(reset)) == ('end', 'reset')
    eventually(lambda: len(announced(pair)) == 2, 20, 'both are announced')
    leaving.close()             # its end may still be under way when the gateway stops
    trees = [instance.tree() for instance in instances]
    for instance, tree, others in zip(instances, trees, (1, 0)):
        assert instance.stop() == 0
        assert not [pid for pid in tree if program(pid).startswith('hypergate')]
        assert len(announced(pair)) == others, f'{instance.name} can still be found'
        named = [line for line in instance.log().splitlines() if any(name in line for name in names)]
        assert not named, f'{instance.name}: {named}'
    assert how_it_ends(staying) == 'reset'


@test
def both_roles(stack):
    """provider and gateway in one instance, beside a second instance on the same machine"""
    dht, secret = start_dht(stack), new_secret()
    services = [Service(stack, serve_echo), Service(stack, serve_echo)]
    gates = free_ports(2)
    entries = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}
               for gate, service in zip(gates, services)]
    for name, entry in zip(('one', 'two'), entries):
        start_instance(stack, name, secret, {'bootstrap': [dht], 'provider': {'services': [entry]},
                                             'gateway': {'listen': '127.0.0.1' if name == 'one' else '127.0.0.2'}})
    for gate in gates:
        eventually(lambda: answers(gate), 20, f'gate {gate}')


main()
