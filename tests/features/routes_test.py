# SPDX-License-Identifier: BSD-3-Clause
"""Which provider a client gets, and what becomes of it when that one fails: web servers of one word each, and curl."""
import collections
import json
import os
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'system'))

from harness import (Service, binary, connect, eventually, free_ports, listens, main, new_secret, read_all, serve_echo,     # noqa: E402
                     start_dht, start_instance, test)


def serve_web(word):
    """One answer a connection, whatever is asked for."""
    def serve(connection):
        asked = b''
        while b'\r\n\r\n' not in asked and (chunk := connection.recv(4096)):
            asked += chunk
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n' + word.encode() + b'\n')
    return serve


def curl(gate, count=1, source=None):
    """The words of @count answers, of which none may fail."""
    done = subprocess.run(['curl', '-sS', '--fail', '--max-time', '60', *(['--interface', source] if source else []),
                           f'http://127.0.0.1:{gate}/[1-{count}]'], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout.split()


def down(service):
    """Nobody listens there any more."""
    service.listener.shutdown(socket.SHUT_RDWR)
    service.listener.close()


def entry(gate, service, **more):
    return {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, **more}


class Router:
    """A DHT, and instances of one router that begin at it."""

    def __init__(self, stack):
        self.stack, self.secret, self.dht = stack, new_secret(), start_dht(stack, 1)

    def provider(self, name, services):
        return start_instance(self.stack, name, self.secret, {'bootstrap': [self.dht], 'provider': {'services': services}})

    def gateway(self, name='gateway', **gateway):
        return start_instance(self.stack, name, self.secret, {'bootstrap': [self.dht], 'gateway': gateway})


def told(instance, *args):
    """Lines of JSON; none while it starts."""
    done = subprocess.run([binary(), *args, '--json', instance.name], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
    return [json.loads(line) for line in done.stdout.splitlines()]


def routes(gateway, gate):
    """How many ways lead from that gate."""
    return sum(route['gatePort'] == gate for route in told(gateway, 'routes'))


def see(gateway, gate, count):
    """And the gate is open, which it is a moment after there is a route."""
    def seen():
        return routes(gateway, gate) == count and (not count or any(one['gatePort'] == gate and one['open'] for one in told(gateway, 'gates')))
    eventually(seen, 30, f'{count} routes behind gate {gate}')


def change(instance, services):
    """Its services are others from now on."""
    with open(instance.conf) as file:
        conf = json.load(file)
    conf['provider']['services'] = services
    with open(instance.conf, 'w') as file:
        json.dump(conf, file)
    instance.process.send_signal(signal.SIGHUP)


@test
def providers_take_turns(stack):
    """S20, N26: three providers of one port have a third of 300 clients each; one whose service is down costs none, nor one that is drained"""
    router, gate = Router(stack), free_ports(1)[0]
    web = {name: Service(stack, serve_web(name)) for name in 'ABC'}
    provider = {name: router.provider(name, [entry(gate, web[name])]) for name in 'ABC'}
    gateway = router.gateway()
    see(gateway, gate, 3)
    assert collections.Counter(curl(gate, 300)) == {'A': 100, 'B': 100, 'C': 100}
    down(web['B'])
    assert set(curl(gate, 100)) == {'A', 'C'}
    assert told(provider['A'], 'drain')[0]['confirmed']
    see(gateway, gate, 2)
    assert set(curl(gate, 50)) == {'C'}
    assert told(provider['A'], 'undrain')[0]['confirmed']
    see(gateway, gate, 3)
    assert set(curl(gate, 50)) == {'A', 'C'}


@test
def policies(stack):
    """S20: the fewest connections, a client's own provider, the first, and a backup: each gate by its own policy"""
    router, (fewest, own, first, backup) = Router(stack), free_ports(4)
    echo = {name: Service(stack, serve_echo) for name in 'ABC'}
    web = {name: Service(stack, serve_web(name)) for name in 'ABC'}
    provider = {name: router.provider(name, [entry(fewest, echo[name]), entry(own, web[name]), entry(first, web[name]),
                                             entry(backup, web[name], priority=int(name == 'A'))]) for name in 'ABC'}
    gateway = router.gateway(policy='least-connections', services=[
        {'gatePort': own, 'policy': 'source-hash'}, {'gatePort': first, 'policy': 'first'}, {'gatePort': backup, 'policy': 'round-robin'},
        {'gatePort': fewest}])
    for gate in (fewest, own, first, backup):
        see(gateway, gate, 3)

    held = [connect(fewest) for _ in range(6)]
    eventually(lambda: [len(echo[name].open) for name in 'ABC'] == [2, 2, 2], 10, 'two each')
    for connection in list(echo['B'].open):
        connection.shutdown(socket.SHUT_RDWR)
    eventually(lambda: not echo['B'].open, 10, 'the end of two')
    for connection in held:
        connection.setblocking(False)
    ended = eventually(lambda: len(over := [one for one in held if is_over(one)]) == 2 and over, 10, 'their end at the gate')
    for connection in ended:
        connection.close()
    eventually(lambda: channels(gateway) == 4, 10, 'four are left')
    held += [connect(fewest) for _ in range(2)]
    eventually(lambda: [len(echo[name].open) for name in 'ABC'] == [2, 2, 2], 10, 'both at the one with fewest')
    for connection in held:
        connection.close()

    hosts = [f'127.0.0.{host}' for host in range(2, 26)]
    before = {host: curl(own, 3, host) for host in hosts}
    assert all(len(set(words)) == 1 for words in before.values()) and len({words[0] for words in before.values()}) == 3, before
    assert len(set(curl(first, 10))) == 1
    assert collections.Counter(curl(backup, 10)) == {'B': 5, 'C': 5}

    provider['B'].stop()
    see(gateway, own, 2)
    for host in hosts:
        after = curl(own, 1, host)
        assert after == before[host][:1] or (before[host][0] == 'B' and after != ['B']), (host, before[host], after)
    assert set(curl(backup, 5)) == {'C'}
    provider['C'].stop()
    see(gateway, backup, 1)
    assert set(curl(backup, 3)) == {'A'}


def is_over(connection):
    try:
        return connection.recv(1, socket.MSG_PEEK) == b''
    except BlockingIOError:
        return False


def channels(gateway):
    return told(gateway, 'status')[0]['channels']


@test
def alternatives(stack):
    """N26: of two services of one provider behind a port one is down, and then the other: no client notices, and the backup waits its turn"""
    router, gate = Router(stack), free_ports(1)[0]
    web = {name: Service(stack, serve_web(name)) for name in 'ABC'}
    provider = router.provider('provider', [entry(gate, web['A']), entry(gate, web['B']), entry(gate, web['C'], priority=1)])
    gateway = router.gateway()
    see(gateway, gate, 1)
    assert collections.Counter(curl(gate, 10)) == {'A': 5, 'B': 5}
    down(web['A'])
    assert set(curl(gate, 10)) == {'B'}
    down(web['B'])
    assert set(curl(gate, 10)) == {'C'}

    def refusals():
        return len([line for line in provider.log().splitlines() if 'ECONNREFUSED' in line or 'Connection refused' in line])
    eventually(lambda: refusals() >= 2, 10, 'both are told of')
    assert refusals() == 2


@test
def health(stack):
    """P02: a service whose check fails is offered no more, though it takes connections, and again when it succeeds; who is connected goes on"""
    router, (web_gate, echo_gate) = Router(stack), free_ports(2)
    web, echo, status = Service(stack, serve_web('A')), Service(stack, serve_echo), ['200 OK']
    ready = Service(stack, lambda connection: connection.recv(4096) and connection.sendall(f'HTTP/1.1 {status[0]}\r\n\r\n'.encode()))
    often = {'intervalMs': 500, 'rise': 2, 'fall': 2}
    provider = router.provider('provider', [
        entry(web_gate, ready, health={'type': 'http', 'path': '/ready', **often}),
        entry(web_gate, web, priority=1), entry(echo_gate, echo, health={'type': 'tcp', **often})])
    gateway = router.gateway()
    see(gateway, echo_gate, 1)
    eventually(lambda: state(provider, ready) == 'there', 10, 'the first check')
    status[0] = '503 Service Unavailable'
    eventually(lambda: state(provider, ready) == 'gone', 10, 'checks that fail')
    assert provider.says('its check fails: HTTP status 503')
    assert curl(web_gate, 3) == ['A'] * 3       # the backup, without a try
    with connect(echo_gate) as held:
        held.sendall(b'1')
        assert held.recv(1) == b'1'
        down(echo)
        see(gateway, echo_gate, 0)
        assert state(provider, echo) == 'gone' and state(provider, web) is None
        assert told(provider, 'status')[0]['servicesGone'] == 2
        held.sendall(b'2')
        assert held.recv(1) == b'2'
    status[0] = '204 No Content'
    eventually(lambda: state(provider, ready) == 'there', 10, 'checks that succeed')
    assert provider.says('its check succeeds')


def state(provider, service):
    return next((one['health'] for one in told(provider, 'services') if one['servicePort'] == service.port), 'missing')


@test
def what_a_provider_says_is_so(stack):
    """S07, S19: a service that comes opens its port, one that goes is reached no more; who waits is served by who comes back"""
    router, (one, other) = Router(stack), free_ports(2)
    web = {name: Service(stack, serve_web(name)) for name in 'AB'}
    provider = router.provider('provider', [entry(one, web['A'])])
    gateway = router.gateway()
    eventually(lambda: listens(one), 20, 'the gate')
    change(provider, [entry(one, web['A']), entry(other, web['B'])])
    eventually(lambda: listens(other), 20, 'the other gate')
    assert curl(one) == ['A'] and curl(other) == ['B']
    change(provider, [entry(one, web['A'])])
    see(gateway, other, 0)
    assert curl(one) == ['A']
    provider.stop()
    see(gateway, one, 0)
    with connect(one) as waiting:               # the gate is open a little longer
        waiting.sendall(b'GET / HTTP/1.0\r\n\r\n')
        router.provider('again', [entry(one, web['B'])])
        assert read_all(waiting).endswith(b'B\n')


@test
def filters(stack):
    """N06: a gateway opens what any entry of its services means, by any subset of their fields and all words of tags; or what all of them mean"""
    router, gates = Router(stack), free_ports(6)
    web = Service(stack, serve_web('A'))
    port, host, word, words, other, kept_out = gates
    router.provider('provider', [entry(port, web), entry(host, web, serviceHost='localhost'), entry(word, web, tags='public'),
                                 entry(words, web, tags='x web y public'), entry(other, web, tags='web'), entry(kept_out, web, tags='public secret')])
    any_entry = router.gateway('any', listen='127.0.0.2', services=[{'gatePort': port}, {'serviceHost': 'localhost', 'protocol': 'tcp'},
                                                                   {'tags': 'public web', 'servicePort': web.port}, {'tags': 'public'}],
                               **{'except': [{'tags': 'secret'}]})
    every = router.gateway('every', listen='127.0.0.3', filterMode='original', services=[{'servicePort': web.port}, {'tags': 'public'},
                                                                                         {'tags': 'y web'}])
    for gate in (port, host, word, words):
        see(any_entry, gate, 1)
    see(every, words, 1)
    assert {route['gatePort'] for route in told(any_entry, 'routes')} == {port, host, word, words}
    assert {route['gatePort'] for route in told(every, 'routes')} == {words}
    for instance, open_gates in ((any_entry, {port, host, word, words}), (every, {words})):
        assert {one['gatePort'] for one in told(instance, 'gates')} == open_gates
    assert eventually(lambda: gateway_answers('127.0.0.2', words) and gateway_answers('127.0.0.3', words), 10, 'both')


@test
def n08_expose_only(stack):
    """N08: exposeOnlyDocker, exposeOnlyPublished and exposeOnlyServices keep out whatever is no such service, with a filter file and without"""
    router, web = Router(stack), Service(stack, serve_web('A'))
    plain, docker, published, page = gates = free_ports(4)
    router.provider('provider', [entry(plain, web), entry(docker, web, tags='docker'), entry(published, web, tags='docker published'),
                                 entry(page, web, serviceHost='localhost', tags='docker')])
    some = [{'gatePort': gate} for gate in (plain, published, page)]
    wanted = (
        ({}, {plain, docker, published, page}),
        ({'exposeOnlyDocker': True}, {docker, published, page}),
        ({'exposeOnlyPublished': True}, {published}),
        ({'exposeOnlyServices': 'localhost'}, {page}),
        ({'exposeOnlyServices': ['localhost', 'elsewhere'], 'exposeOnlyPublished': True}, set()),
        ({'exposeOnlyDocker': True, 'services': some}, {published, page}),
        ({'exposeOnlyServices': '127.0.0.1', 'exposeOnlyDocker': True, 'services': some}, {published}),
    )
    gateways = [router.gateway(f'gateway{number}', listen=f'127.0.0.{number + 2}', **more) for number, (more, _) in enumerate(wanted)]
    for number, (gateway, (more, opened)) in enumerate(zip(gateways, wanted)):
        eventually(lambda: any(one['type'] == 'peer' for one in told(gateway, 'peers')), 20, 'the provider')
        for gate in opened:
            see(gateway, gate, 1)
        assert {one['gatePort'] for one in told(gateway, 'routes')} == opened, more
        for gate in gates:
            assert gateway_answers(f'127.0.0.{number + 2}', gate) == (gate in opened), (more, gates.index(gate))


@test
def three_and_three(stack):
    """S07, S09: three gateways and three providers of one router: each port of each gateway leads to its provider"""
    router, gates = Router(stack), free_ports(3)
    hosts = ['127.0.0.2', '127.0.0.3', '127.0.0.4']
    for name, gate in zip('ABC', gates):
        router.provider(name, [entry(gate, Service(stack, serve_web(name)))])
    gateways = [router.gateway(listen=host) for host in hosts]
    for gateway in gateways:
        for gate in gates:
            see(gateway, gate, 1)
    for host in hosts:
        for name, gate in zip('ABC', gates):
            eventually(lambda: gateway_answers(host, gate), 10, f'{host}:{gate}')
            done = subprocess.run(['curl', '-sS', '--fail', f'http://{host}:{gate}/'], capture_output=True, text=True, check=True)
            assert done.stdout == f'{name}\n', (host, gate, done)


def gateway_answers(host, gate):
    return subprocess.run(['curl', '-s', f'http://{host}:{gate}/'], capture_output=True, check=False).returncode == 0


main()
