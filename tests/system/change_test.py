# SPDX-License-Identifier: BSD-3-Clause
"""What people change by hand while an instance runs: hypergate drain, undrain, add, remove, allow and deny."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

from harness import (Service, answers, binary, connect, eventually, free_ports, listens, main, new_secret, read_all, serve_echo,
                     start_dht, start_instance, test)


class Router:
    """A provider and a gateway; services are what the configuration of the former says."""

    def __init__(self, stack, services):
        self.secret, self.dht, self.stack = new_secret(), start_dht(stack, 1), stack
        self.start_provider(services)
        self.gateway = start_instance(stack, 'gateway', self.secret, {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1'}})

    def start_provider(self, services):
        self.provider = start_instance(self.stack, 'provider', self.secret, {'bootstrap': [self.dht], 'provider': {'services': services}})

    def ask(self, *args):
        """The last of @args says whom."""
        instance = getattr(self, args[-1])
        return subprocess.run([binary(), *args], capture_output=True, text=True, timeout=90,
                              env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})

    def tell(self, *args):
        done = self.ask(*args)      # nobody may read root's secret: a reload says so
        assert done.returncode == 0 and all('secret stays as it was' in line for line in done.stderr.splitlines()), done
        return done.stdout

    def services(self):
        return {one['gatePort']: one for one in map(json.loads, self.tell('services', '--json', 'provider').splitlines())}

    def status(self, role):
        return json.loads(self.tell('status', '--json', role))


def entry(gate_port, service):
    return {'gatePort': gate_port, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}


def echoes(connection, data):
    connection.sendall(data)
    return connection.recv(len(data)) == data


def drained(stack, role, gone):
    """@gone: what becomes of the gate."""
    gate = free_ports(1)[0]
    router = Router(stack, [entry(gate, Service(stack, serve_echo))])
    eventually(lambda: answers(gate), 20, 'the gate')
    held = connect(gate)
    assert echoes(held, b'before')

    eventually(lambda: router.status(role)['channels'] == 1, 10, 'the look whether the gate is open is over')
    assert router.tell('drain', role) == f'{role}: drained, 1 channel goes on\n'
    eventually(lambda: gone(router, gate), 20, 'nobody comes in')
    page = router.tell('top', '-n', '1', '-d', '0.1', role)
    assert page.startswith('hypergate ') and '1 instance, 1 peer, 1 channel\n' in page and f'{gate}/tcp' in page and 'drained' in page, page
    assert echoes(held, b'drained') and router.status(role)['drained'] and router.status(role)['gates'] == []
    assert 'still drained' in router.tell('reload', role) and router.status(role)['drained'], 'a reload does not end it'
    assert getattr(router, role).log().count('drained: takes no new clients') == 1
    late = router.ask('drain', '--json', '--wait', '1', role)
    assert late.returncode == 75 and json.loads(late.stdout) == {'type': 'drain', 'instance': role, 'confirmed': True, 'channels': 1}, late

    waiting = subprocess.Popen([binary(), 'drain', '--wait', '80', role], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, 'RUNTIME_DIRECTORY': getattr(router, role).folder})
    assert echoes(held, b'the last')
    held.close()
    assert waiting.communicate(timeout=90)[0] == f'{role}: drained, nobody is connected\n' and waiting.returncode == 0
    router.tell('undrain', role)
    eventually(lambda: answers(gate), 20, 'the gate, again')
    assert not router.status(role)['drained'] and 'takes clients again' in getattr(router, role).log()
    assert router.tell('undrain', role) == f'{role}: nothing is different\n'


@test
def a_gateway_is_drained(stack):
    """drain of a gateway: its gates close, who is connected goes on, --wait until nobody is; undrain opens them"""
    drained(stack, 'gateway', lambda router, gate: not listens(gate))


@test
def a_provider_is_drained(stack):
    """drain of a provider: nobody reaches its services, who is connected goes on; undrain offers them again"""
    drained(stack, 'provider', lambda router, gate: not router.tell('routes', '--json', 'gateway'))


@test
def services_are_added_and_removed(stack):
    """add and remove: until the instance ends, over a configuration that is read anew, too; with --save also after that"""
    first, second, third = free_ports(3)
    one, two = Service(stack, serve_echo), Service(stack, serve_echo)
    tags = 'by "hand" \N{ELEPHANT}'
    configured, added = [entry(first, one), entry(third, one)], json.dumps([{**entry(second, two), 'tags': tags}])
    router = Router(stack, configured)
    eventually(lambda: answers(first), 20, 'what is configured')

    assert router.tell('add', added, 'provider') == 'provider: services: 1 more, 0 gone\n'
    eventually(lambda: answers(second), 20, 'what was added')
    assert router.tell('add', added, 'provider') == 'provider: nothing is different\n'
    assert router.tell('remove', f'{third}/tcp', 'provider') == 'provider: services: 0 more, 1 gone\n'
    router.tell('reload', 'provider')
    found = router.services()
    assert {port: one['added'] for port, one in found.items()} == {first: False, second: True} and found[second]['tags'] == tags, found
    assert f'gate {second}/tcp from 127.0.0.1:{two.port}, tags by "hand" \\xf0\\x9f\\x90\\x98, added\n' in router.tell('services', 'provider')
    held = connect(second)
    assert echoes(held, b'x')
    said = json.loads(router.tell('remove', '--json', str(second), 'provider'))
    assert said == {**said, 'type': 'change', 'good': True, 'confirmed': True, 'changed': True, 'drained': False, 'servicesAdded': 0,
                    'servicesRemoved': 1, 'file': router.provider.conf}, said
    assert list(router.services()) == [first] and echoes(held, b'y'), 'who is connected goes on'

    none = router.ask('remove', str(second), 'provider')
    assert none.returncode == 1 and none.stderr == 'hypergate: nothing is offered behind that gate port\n', none
    wrong = router.ask('add', '[{"gatePort": 0, "serviceHost": "a", "servicePort": 1, "prot": 2}]', 'provider')
    assert wrong.returncode == 78 and 'gatePort: expected a whole number' in wrong.stderr and wrong.stdout == '', wrong
    none = router.ask('add', added, 'gateway')
    assert none.returncode == 1 and 'it is no provider' in none.stderr, none
    assert 'added by hand: 1 services more, 0 gone' in router.provider.log() and 'removed by hand' in router.provider.log()

    unsaved = router.ask('add', '--save', added, 'provider')
    assert unsaved.returncode == 73 and f'mkdir {router.provider.conf}.d' in unsaved.stderr, unsaved
    os.mkdir(router.provider.conf + '.d')
    for _ in range(2):
        router.tell('add', '--save', added, 'provider')
    router.tell('add', '--save', json.dumps([entry(second, one)]), 'provider')
    assert os.listdir(router.provider.conf + '.d') == ['added.yaml']
    assert subprocess.run([binary(), 'check', router.provider.conf], env=os.environ).returncode == 0
    before = router.services()
    router.tell('reload', 'provider')
    assert router.services().keys() == before.keys() == {first, second}
    assert router.tell('remove', '--save', str(second), 'provider') == 'provider: services: 0 more, 2 gone\n'
    assert os.listdir(router.provider.conf + '.d') == []


def serve_page(connection):
    connection.recv(4096)
    connection.sendall(b'HTTP/1.0 200 OK\r\n\r\nlet in\n')


def curl(gate, source):
    """A reset may come while it connects."""
    done = subprocess.run(['curl', '-sS', '--max-time', '60', '--interface', source, f'http://127.0.0.1:{gate}/'],
                          capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else 'refused' if done.returncode in (7, 56) else done.stderr


@test
def an_address_is_let_in_for_a_while(stack):
    """allow and deny: curl from an address that a policy keeps out, at once, after the end of the gate's worker, and no longer; from others never"""
    gate = free_ports(1)[0]
    router = Router(stack, [{**entry(gate, Service(stack, serve_page)), 'ingressPolicy': {'defaults': {'allow': False}}}])
    eventually(lambda: listens(gate), 20, 'the gate')
    assert (curl(gate, '127.0.0.2'), router.tell('allowed', 'gateway')) == ('refused', '')

    said = json.loads(router.tell('allow', '--json', '--for', '2h', '127.0.0.2', 'gateway'))
    assert said == {**said, 'type': 'allowance', 'instance': 'gateway', 'address': '127.0.0.2', 'secondsLeft': 7200}, said
    eventually(lambda: curl(gate, '127.0.0.2') == 'let in\n', 20, 'it is let in')
    assert curl(gate, '127.0.0.3') == 'refused'
    router.tell('reload', 'gateway')
    worker = router.gateway.workers('forward')[0]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: worker not in router.gateway.workers('forward'), 20, 'it is gone')
    eventually(lambda: curl(gate, '127.0.0.2') == 'let in\n', 20, 'another worker lets it in')
    assert curl(gate, '127.0.0.3') == 'refused'
    listed = json.loads(router.tell('allowed', '--json', 'gateway'))
    assert {**listed, 'secondsLeft': 7200} == said and 0 < listed['secondsLeft'] <= 7200, listed
    assert router.status('gateway')['allowed'] == 1

    assert router.tell('deny', '127.0.0.2', 'gateway') == 'gateway: 127.0.0.2 is let in as policies say again\n'
    eventually(lambda: curl(gate, '127.0.0.2') == 'refused', 20, 'it is let in no longer')
    assert router.tell('allowed', 'gateway') == '' and router.status('gateway')['allowed'] == 0
    none = router.ask('deny', '127.0.0.2', 'gateway')
    assert none.returncode == 1 and 'this is no ban' in none.stderr, none
    none = router.ask('allow', '127.0.0.2', 'provider')
    assert none.returncode == 1 and 'it is no gateway' in none.stderr, none
    assert 'clients from 127.0.0.2 are let in for 7200 s' in router.gateway.log()


def come_in(gate, source):
    """A connection from there that is served; None: it was refused, maybe while it connected."""
    with contextlib.ExitStack() as unless_served, contextlib.suppress(ConnectionError):
        connection = unless_served.enter_context(socket.create_connection(('127.0.0.1', gate), 30, (source, 0)))
        if echoes(connection, b'first'):
            unless_served.pop_all()
            return connection
    return None


def for_a_while(router, gate, rules):
    """A client that came in by a rule that ends soon, and when that is: the later the slower the machine is."""
    for seconds in (2, 4, 8, 16):
        end = time.time() + seconds
        with open(router.provider.conf) as file:
            conf = json.load(file)
        conf['provider']['services'][0]['ingressPolicy']['ips'] = rules(int(end * 1000))
        with open(router.provider.conf, 'w') as file:
            json.dump(conf, file)
        router.tell('reload', 'provider')
        while time.time() < end:
            if held := come_in(gate, '127.0.0.2'):
                return held, end
    raise AssertionError('nobody came in by a rule that was there for 16 s')


@test
def a_rule_runs_out(stack):
    """expireAt of a provider's policy: its client is let in until then and no longer; who is connected goes on, and other rules stay"""
    gate = free_ports(1)[0]
    router = Router(stack, [{**entry(gate, Service(stack, serve_echo)),
                             'ingressPolicy': {'ips': {'127.0.0.3': {'allow': True}}, 'defaults': {'allow': False}}}])
    held = eventually(lambda: listens(gate) and come_in(gate, '127.0.0.3'), 20, 'the gate')
    held.close()
    assert come_in(gate, '127.0.0.2') is None
    workers = router.gateway.workers('forward')

    held, end = for_a_while(router, gate, lambda ms: {'127.0.0.2': {'allow': True, 'expireAt': ms}, '127.0.0.3': {'allow': True}})
    while time.time() < end:
        time.sleep(0.05)
    assert come_in(gate, '127.0.0.2') is None, 'the rule is there no longer'
    assert echoes(held, b'who is connected goes on')
    held.close()
    assert come_in(gate, '127.0.0.2') is None and come_in(gate, '127.0.0.4') is None
    come_in(gate, '127.0.0.3').close()
    assert router.gateway.workers('forward') == workers


main()
