# SPDX-License-Identifier: BSD-3-Clause
"""Limits of bandwidth, by ingress policies: one bucket for all connections of a client, whichever gate, swarm worker and provider carries them."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

from harness import Service, binary, connect, digest, eventually, free_ports, listens, main, new_secret, pattern, serve_bytes, serve_digest, start_dht, \
    start_instance, talk, test
from udp_scene import Echo

RATE, BURST = 1000000, 125000


def curl(gate, data):
    """All of @data, from a service that just sends it."""
    done = subprocess.run(['curl', '-sS', '--fail', '--http0.9', '--max-time', '60', f'http://127.0.0.1:{gate}/'],
                          capture_output=True, check=False)
    assert done.returncode == 0 and digest(done.stdout) == digest(data), (done.returncode, len(done.stdout), done.stderr)


def outcome(gate, source):
    """What becomes of a client from that address; a reset may come while it connects."""
    done = subprocess.run(['curl', '-sS', '--http0.9', '--max-time', '30', '--interface', source, f'http://127.0.0.1:{gate}/'],
                          capture_output=True, check=False)
    return 'refused' if done.returncode in (7, 56) and not done.stdout else len(done.stdout)


def upload(gate, data):
    assert talk(gate, data) == digest(data).encode()


def listed(instance, what):
    """Of its routes, channels or peers those that one of its swarm workers has."""
    done = subprocess.run([binary(), what, '--json', instance.name], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
    return [one for one in map(json.loads, done.stdout.splitlines()) if 'worker' in one]


def all_ways(gateway, gates, workers, keys):
    """Each of so many workers of the gateway has so many of its peers for each gate."""
    def ways():
        return {(one['gatePort'], one['peer'], one['worker']) for one in listed(gateway, 'routes') if one['gatePort'] in gates}
    eventually(lambda: len(ways()) == len(gates) * workers * keys, 30, 'all workers have all gates')


def together(*jobs):
    """All at once; what went wrong in one goes wrong here. How long they took."""
    wrong = []

    def tried(job):
        try:
            job()
        except BaseException as error:
            wrong.append(error)
    threads = [threading.Thread(target=tried, args=(job,)) for job in jobs]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return time.monotonic() - began


@test
def weakness_14_11_one_bucket(stack):
    """four downloads by two gates and four swarm workers, an upload beside them and datagrams after them: no more than one bucket each way, every byte"""
    dht, secret, gates = start_dht(stack, 1), new_secret(), free_ports(4)
    down, up = pattern(1, 250000), pattern(2, 1000000)
    services = [Service(stack, serve) for serve in (serve_bytes(down), serve_bytes(down), serve_digest)]
    echo = Echo(stack)
    entries = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port} for gate, service in zip(gates, services)]
    entries.append({'gatePort': gates[3], 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'udp'})
    policy = {'ips': {'127.0.0.0/8': {'bandwidthLimit': {'mbps': RATE * 8 / 1e6, 'burstMbps': BURST * 8 / 1e6}}},
              'defaults': {'allow': False}}
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'cores': 2, 'provider': {'services': entries, 'ingressPolicy': policy}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'cores': 2, 'gateway': {}})
    eventually(lambda: all(map(listens, gates[:3])), 30, 'the gates')
    took = together(*[lambda gate=gate: curl(gate, down) for gate in gates[:2] * 2],
                    lambda: upload(gates[2], up))
    assert took >= (4 * len(down) - BURST) / RATE, f'{took:.3f} s for {4 * len(down)} bytes'
    assert took < 30, took

    # The same bucket, and what is in it again by now.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.01)
        client.connect(('127.0.0.1', gates[3]))
        sent, got, began = 0, 0, time.monotonic()
        while sent < 2000000 or not got:
            for _ in range(30):
                sent += client.send(bytes(1000))
            try:
                while True:
                    got += len(client.recv(2000))
            except TimeoutError:
                pass
            assert time.monotonic() - began < 60, 'no datagram comes back'
        took = time.monotonic() - began
    assert got <= BURST + 1000 + took * RATE, (got, took)


def serve_who(data, came):
    """Answers with @data, and notes from which address each client is (proxyProtocol: v1)."""
    def serve(connection):
        said = b''
        while b'\r\n' not in said:
            more = connection.recv(1000)
            if not more:
                return
            said += more
        came.add(said.split()[2].decode())
        serve_bytes(data)(connection)
    return serve


def serve_endless(connection):
    while True:
        connection.sendall(bytes(65536))


def poured(clients, seconds):
    """What these get in that time, and how long it was; all of them go on to the end."""
    got, began = [0] * len(clients), time.monotonic()

    def take(number):
        while time.monotonic() < began + seconds:
            got[number] += len(clients[number].recv(65536))
    took = together(*[lambda number=number: take(number) for number in range(len(clients))])
    return got, took


@test
def n16_accurate(stack):
    """eight downloads at once of one client, by two gates and two swarm workers each side, for six seconds: its rate, and not much less"""
    dht, secret, gates = start_dht(stack, 1), new_secret(), free_ports(2)
    policy = {'ips': {'127.0.0.0/8': {'bandwidthLimit': {'mbps': RATE * 8 / 1e6, 'burstMbps': BURST * 8 / 1e6}}}}
    entries = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': Service(stack, serve_endless).port} for gate in gates]
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'cores': 2, 'provider': {'services': entries, 'ingressPolicy': policy}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'cores': 2, 'gateway': {}})
    eventually(lambda: all(map(listens, gates)), 30, 'the gates')
    clients = [stack.enter_context(connect(gate)) for gate in gates * 4]
    got, took = poured(clients, 6)
    print(f'# {sum(got) / took / RATE:.1%} of the rate, by connection {", ".join(f"{one / took / RATE:.1%}" for one in got)}', flush=True)
    assert sum(got) <= BURST + took * RATE, (got, took)
    assert sum(got) >= 0.6 * took * RATE, (got, took)       # beside other work; unit/swarm_limiter_test.c has it within 5 %
    assert min(got) >= sum(got) / len(got) / 4, f'one of them starves: {got}'


@test
def a_gateways_own(stack):
    """a gateway's own policy: whom it keeps out no service hears of, its limit is one for two providers of which one has another, until a reload"""
    dht, secret, gates = start_dht(stack, 1), new_secret(), free_ports(2)
    data = pattern(3, 500000)
    policies = [{}, {'ips': {'127.0.0.3': {'allow': False}, '*': {'bandwidthLimit': {'mbps': RATE * 4 / 1e6, 'burstMbps': 0.1}}}}]
    came = [set() for _ in gates]
    for i, gate in enumerate(gates):
        service = Service(stack, serve_who(data, came[i]))
        entry = {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'proxyProtocol': 'v1',
                 'ingressPolicy': policies[i]}
        start_instance(stack, f'provider{i}', secret, {'bootstrap': [dht], 'provider': {'services': [entry]}})
    own = {'ips': {'127.0.0.2': {'allow': False}, '*': {'bandwidthLimit': {'mbps': RATE * 8 / 1e6, 'burstMbps': BURST * 8 / 1e6}}}}
    conf = {'bootstrap': [dht], 'gateway': {'ingressPolicy': own}}
    gateway = start_instance(stack, 'gateway', secret, conf)
    eventually(lambda: all(map(listens, gates)), 30, 'the gates')
    assert [outcome(gates[0], source) for source in ('127.0.0.1', '127.0.0.2', '127.0.0.3')] == [len(data), 'refused', len(data)]
    assert (outcome(gates[1], '127.0.0.3'), outcome(gates[1], '127.0.0.4')) == ('refused', len(data)), 'its provider keeps one out'
    assert came[0] == {'127.0.0.1', '127.0.0.3'}, f'the services saw {came}'
    assert '127.0.0.4' in came[1] and not came[1] & {'127.0.0.2', '127.0.0.3'}, f'the services saw {came}'
    gateway.says('not let in by the ingress policy of this gateway: reset')
    time.sleep(BURST / RATE)            # the bucket is full again
    took = together(lambda: curl(gates[0], data), lambda: curl(gates[0], data), lambda: curl(gates[1], data))
    assert took >= (3 * len(data) - BURST) / RATE, f'{took:.3f} s: one bucket for both providers'
    took = together(lambda: curl(gates[1], data))
    assert took >= (len(data) - 12500) / (RATE / 2), f'{took:.3f} s: the tighter one'

    conf['gateway']['ingressPolicy'] = {'defaults': {'allow': False}, 'ips': {'127.0.0.2': {}}}
    with open(gateway.conf, 'w', encoding='utf-8') as file:
        json.dump({'secretFile': gateway.key, **conf}, file)
    done = subprocess.run([binary(), 'reload', 'gateway'], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, 'RUNTIME_DIRECTORY': gateway.folder})
    assert done.returncode == 0, done
    eventually(lambda: outcome(gates[0], '127.0.0.1') == 'refused', 10, 'it is kept out from now on')
    assert [outcome(gates[0], source) for source in ('127.0.0.2', '127.0.0.3', '127.0.0.5')] == [len(data), 'refused', 'refused']
    assert '127.0.0.2' in came[0] and '127.0.0.5' not in came[0], came


@test
def a_death_is_worth_a_burst(stack):
    """workers are killed while a client downloads, that with its bucket, too: it has its rate and no more than a burst for each, and goes on"""
    dht, secret, (gate,) = start_dht(stack, 1), new_secret(), free_ports(1)
    service = Service(stack, serve_bytes(pattern(1, 4000000)))
    policy = {'ips': {'127.0.0.0/8': {'bandwidthLimit': {'mbps': RATE * 8 / 1e6, 'burstMbps': BURST * 8 / 1e6}}},
              'defaults': {'allow': False}}
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {
        'services': [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port}], 'ingressPolicy': policy}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {}})
    eventually(lambda: listens(gate), 30, 'the gate')
    roles = ['swarm', 'forward', 'swarm', 'router']
    deaths, got, since, began = len(roles), 0, 0, time.monotonic()
    while roles or since < 3 * BURST:
        assert time.monotonic() - began < 90, f'{len(roles)} deaths to come, {since} bytes since the last one'
        try:
            with connect(gate) as client:
                while more := client.recv(65536):
                    got, since = got + len(more), since + len(more)
                    if roles and since > 2 * BURST:
                        since, pids = 0, gateway.workers(roles.pop(0))
                        for pid in pids:
                            os.kill(pid, signal.SIGKILL)
                    elif since > 3 * BURST and not roles:
                        break
        except OSError:
            pass                        # what died had it
    took = time.monotonic() - began
    assert got <= (1 + deaths) * BURST + took * RATE, (got, took)


@test
def a_swarm_worker_that_dies(stack):
    """those of a client that come while its swarm worker is gone wait for the next one, not another bucket's: its rate in all"""
    dht, secret, (gate,) = start_dht(stack, 1), new_secret(), free_ports(1)
    policy = {'ips': {'127.0.0.0/8': {'bandwidthLimit': {'mbps': RATE * 8 / 1e6, 'burstMbps': BURST * 8 / 1e6}}}}
    entry = {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': Service(stack, serve_endless).port}
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [entry], 'ingressPolicy': policy}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'cores': 2, 'gateway': {}})
    eventually(lambda: listens(gate), 30, 'the gate')

    def begin():
        client = stack.enter_context(connect(gate))
        assert client.recv(1)
        return client

    def begin_or_not():
        try:
            return begin()
        except OSError:
            return None                 # it was with the one that died, before that was known

    def carries(client):
        port = client.getsockname()[1]
        return next((one['worker'] for one in listed(gateway, 'channels') if one.get('clientPort') == port), None)

    first = begin()                     # the other worker may have met the provider before
    own = carries(first)
    all_ways(gateway, [gate], 2, 1)
    assert carries(begin()) == own, 'its own from the start'
    stays = gateway.workers('swarm')[2 - own]
    clients, began = [], time.monotonic()
    for _ in range(3):
        for pid in gateway.workers('swarm'):
            if pid != stays:
                os.kill(pid, signal.SIGKILL)
        clients = [eventually(begin_or_not, 30, 'a client is served') for _ in range(2)]
        assert [carries(client) for client in clients] == [own, own], 'they have waited for their own'
    print(f'# {(time.monotonic() - began) / 3:.2f} s from a death until two are served', flush=True)
    assert stays in gateway.workers('swarm'), 'the other one was there all the time'
    poured(clients, 0.5)                # what was on its way, and in the bucket
    got, took = poured(clients, 3)
    print(f'# {sum(got) / took / RATE:.0%} of the rate, by connection {", ".join(f"{one / took / RATE:.0%}" for one in got)}', flush=True)
    assert sum(got) <= BURST + took * RATE and min(got) > 0, (got, took)


@test
def who_is_allowed_has_no_limit(stack):
    """`allow`, with --unlimited and without, lifts limits of a provider and the gateway's own, for that address alone; `deny` ends it"""
    dht, secret, (gate,) = start_dht(stack, 1), new_secret(), free_ports(1)
    data, rate = pattern(5, 300000), 100000
    policy = {'ips': {'127.0.0.0/8': {'bandwidthLimit': {'mbps': rate * 8 / 1e6, 'burstMbps': 0.1}}}}
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'ingressPolicy': policy, 'services': [
        {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': Service(stack, serve_bytes(data)).port}]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'ingressPolicy': policy}})
    eventually(lambda: listens(gate), 30, 'the gate')
    limited = (len(data) - 12500) / rate

    def takes(source):
        def fetch():
            assert outcome(gate, source) == len(data)
        return together(fetch)

    def ask(*words):
        done = subprocess.run([binary(), *words, 'gateway'], capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, 'RUNTIME_DIRECTORY': gateway.folder})
        assert done.returncode == 0, done
        return done.stdout
    said = [json.loads(ask('allow', source, '--for', '30m', '--json', *more))
            for source, more in (('127.0.0.2', ['--unlimited']), ('127.0.0.3', []))]
    assert {**said[0], 'address': '127.0.0.3', 'until': None} == {**said[1], 'until': None} and said[0]['secondsLeft'] == 1800, said
    for source in '127.0.0.2', '127.0.0.3':
        eventually(lambda source=source: takes(source) < limited / 2, 20, f'{source} has no limit')
    assert takes('127.0.0.4') >= limited, 'another one has'
    ask('deny', '127.0.0.2')
    eventually(lambda: takes('127.0.0.2') >= limited, 20, 'it has its limit again')


main()
