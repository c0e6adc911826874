# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong, and how it is seen: by the client, and in the log of the machine where it is. Elsewhere than here:

| what | which test |
| --- | --- |
| a service that is down | `refused_service` of system/bytes, `gates_and_services` of system/trouble, `health` of features/routes |
| one that answers no SYN, closes at once, speaks first, or one byte at a time | `services_that_misbehave...` of system/misbehave |
| one that answers no SYN, of a provider of the original's | here |
| one that is slow to accept, a reader that is slow or stops | `faster_than_the_channel_opens` and `slow_readers` of system/bytes |
| one that closes behind its answer, a client that closes behind its request | `ended_by_close` and `closed_at_once` of system/bytes |
| one that resets, or ends and then resets | `broken_is_seen_as_broken` of system/bytes, `a_reset_after_an_end_is_a_reset` of system/tcp |
| any worker killed, a hundred times under load | system/heal, system/hostile |
| a provider or a gateway that is killed, in the midst of transfers | here |
| two gateways that want one port, a port in use, one below 1024 | system/misbehave, system/trouble |
| a provider with more services than a gateway takes, one whose list is longer than anybody reads, or an original's with 10,000 or 25,000 | here |
| port 0, port 70000, names of 64 KiB, wrong types, a thousand levels | `configurations_that_nobody_means` of system/misbehave |
| the same in what a provider like the original's says it offers | here |
| a policy of networks that are none | here |
| no bootstrap node, no network, other addresses | `network_out_of_reach` of system/trouble, system/roam, system/away |
| strangers who flood, lie and break off | system/hostile, system/storm, interop/hostile |
| memory that runs out | system/memory |
"""
import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from place import bytes_at, digest_of, double, eventually, folder, gate, routes_of_the_original, says, write

from scene import nginx

from harness import (Service, answers, binary, connect, free_ports, listens, main, memory_factor, memory_kib, new_secret, serve_echo,
                     start_dht, start_instance, test)

EACH_MB = 40
# curl's words for an end that comes too early: 18 partial file, 52 nothing, 56 a reset.
CUT_SHORT = (18, 52, 56)


class Scene:
    """nginx with a file that it sends slowly, and an echo, each behind a provider of its own, and a gateway."""

    def __init__(self, stack):
        self.stack, self.secret, self.dht = stack, new_secret(), start_dht(stack, 1)
        place = folder(stack)
        self.file, (self.web, self.gate, self.echo) = os.path.join(place, 'file'), free_ports(3)
        self.digest = bytes_at(self.file, EACH_MB << 20)
        nginx(stack, [self.web], f'server {{ listen 127.0.0.1:{self.web}; root {place}; '
              f'location = /slow {{ limit_rate 4m; alias {self.file}; }} }}')
        self.provider = self.start('provider', provider={'services': [gate(self.gate, self.web)]})
        self.other = self.start('other', provider={'services': [gate(self.echo, Service(stack, serve_echo).port)]})
        self.gateway = self.start('gateway', gateway={'listen': '127.0.0.1'})
        eventually(lambda: listens(self.gate) and answers(self.echo), 20, 'the gates')

    def start(self, name, **role):
        return start_instance(self.stack, name, self.secret, {'bootstrap': [self.dht], **role})

    def downloads(self, count):
        """So many, of which each is under way."""
        running = []
        for number in range(count):
            got = f'{self.file}-{number}'
            curl = ['curl', '-sS', '--fail', '-o', got, f'http://127.0.0.1:{self.gate}/slow']
            running.append((got, subprocess.Popen(curl, stderr=subprocess.DEVNULL)))
        eventually(lambda: all(os.path.exists(got) and os.path.getsize(got) > 1 << 20 for got, _ in running), 30, 'they run')
        return running

    def is_whole(self):
        curl = ['curl', '-s', '--fail', '--max-time', '20', '-o', self.file + '-whole', f'http://127.0.0.1:{self.gate}/file']
        return subprocess.run(curl, check=False).returncode == 0 and digest_of(self.file + '-whole') == self.digest


@test
def a_provider_dies_in_the_midst(stack):
    """a provider is killed under ten downloads: curl says that each is cut short, and the log; others go on, and all when it is back"""
    scene = Scene(stack)
    running = scene.downloads(10)
    scene.provider.kill()
    assert answers(scene.echo)
    for got, curl in running:
        assert curl.wait(40) in CUT_SHORT and os.path.getsize(got) < EACH_MB << 20
    assert answers(scene.echo)
    scene.gateway.says('the connection is lost')
    scene.start('again', provider={'services': [gate(scene.gate, scene.web)]})
    eventually(scene.is_whole, 40, 'a whole file')


@test
def a_gateway_dies_in_the_midst(stack):
    """a gateway is killed under ten downloads: curl says that each is cut short; its provider lets go of the service, and wget goes on"""
    scene = Scene(stack)
    running = scene.downloads(10)
    assert connections(scene.web) >= 10
    scene.gateway.kill()
    for got, curl in running:
        assert curl.wait(20) in CUT_SHORT and os.path.getsize(got) < EACH_MB << 20
    scene.provider.says('the connection is lost', 40)
    eventually(lambda: connections(scene.web) == 0, 40, 'no connection to the service is left')
    scene.gateway = scene.start('again', gateway={'listen': '127.0.0.1'})
    eventually(scene.is_whole, 40, 'a whole file')
    half = running[0][0]
    says('wget', '-q', '-c', '--tries=1', '-O', half, f'http://127.0.0.1:{scene.gate}/file')
    assert digest_of(half) == scene.digest


def connections(port):
    """How many a service at @port has."""
    return len(says('ss', '-Htn', 'state', 'established', f'( sport = :{port} )').splitlines())


def gates_of(host):
    """How many TCP ports are open there."""
    return len(says('ss', '-Hltn', f'src {host}').splitlines())


def told(instance):
    """Its status."""
    return json.loads(ask(instance, 'status', '--json', instance.name).splitlines()[0])


def ask(instance, *words):
    return subprocess.run([binary(), *words], check=True, capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder}).stdout


@test
def ten_thousand_services(stack):
    """10,000 services of one provider: 256 gates, and a line at the provider that says so, at its start and in `check`; both stay small"""
    scene, first = Scene(stack), 20000
    many = [{'gatePort': f'{first}-{first + 9999}', 'serviceHost': '127.0.0.1', 'servicePort': f'{first}-{first + 9999}',
             'protocol': 'tcp'}]
    gateway = scene.start('gateway of many', gateway={'listen': '127.0.0.2', 'services': [{'gatePort': f'{first}-{first + 9999}'}]})
    gateway.says('connected to 2 providers')
    before = memory_kib(gateway)
    provider = scene.start('many', provider={'services': many})
    provider.says('10000 services: gateways learn of the first 256 only')
    provider.says('only the first 256 of 10000 services are advertised: no more fit')
    eventually(lambda: gates_of('127.0.0.2') == 256, 40, '256 gates')
    assert answers(scene.echo)
    grown = memory_kib(gateway) - before
    assert grown < 24 * 1024 * memory_factor() and memory_kib(provider) < 48 * 1024 * memory_factor(), (grown, memory_kib(provider))
    done = subprocess.run([binary(), 'check', provider.conf], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and '10000 services: gateways learn of the first 256 only' in done.stdout + done.stderr, done


@test
def more_services_than_a_gateway_takes(stack):
    """1,000 services of a provider of the original's: 256 gates, a line at the gateway that names it, and the other provider's is served"""
    scene, first = Scene(stack), 20000
    services = [gate(port, port) for port in range(first, first + 1000)]
    double(stack, 'provider', scene.secret, scene.dht, services=routes_of_the_original(services), advertiseMs=500)
    eventually(lambda: gates_of('127.0.0.1 and sport >= 20000 and sport < 21000') >= 256, 40, '256 gates')
    scene.gateway.says('are left out: it has 1000, of which the first 256 count')
    assert gates_of('127.0.0.1 and sport >= 20000 and sport < 21000') == 256
    assert answers(scene.echo)
    assert len([line for line in scene.gateway.log().splitlines() if 'are left out' in line]) == 1


@test
def a_list_longer_than_gateways_read(stack):
    """256 services, each with the networks that may come, are more than 256 KiB: a line says how many fit, and these are served"""
    scene, first, echo = Scene(stack), 20000, Service(stack, serve_echo)
    networks = {f'2001:db8:{number:x}::/48': {'allow': False} for number in range(64)}
    provider = scene.start('long', provider={'services': [{**gate(port, echo.port), 'ingressPolicy': {'ips': networks}}
                                                          for port in range(first, first + 256)]})
    said = provider.says('services are advertised: no more fit')
    count = int(re.search(r'only the first (\d+) of 256 services', said[0])[1])
    assert 64 < count < 256, said
    eventually(lambda: gates_of(f'127.0.0.1 and sport >= {first} and sport < {first + 256}') == count, 40, 'as many gates')
    for port in (first, first + count // 2, first + count - 1):
        assert answers(port), port
    assert answers(scene.echo) and not listens(first + count)
    assert told(scene.gateway)['advertsDropped'] == 0


@test
def a_list_longer_than_a_gateway_reads(stack):
    """one of a provider like the original's: passed over, told in the log, `status` and `metrics`; another one's services are served"""
    secret, dht, first, port = new_secret(), start_dht(stack, 1), 20000, free_ports(1)[0]
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    gateway.says('ready: ')
    double(stack, 'provider', secret, dht, services=[{'gatePort': each, 'servicePort': 1} for each in range(first, first + 2600)],
           advertiseMs=500, pieceBytes=65536)           # one message has room in no socket of a small machine
    dropped = eventually(lambda: told(gateway)['advertsDropped'], 30, 'it is counted')
    said = gateway.says('are left out')[0]
    assert re.search(r'all routes of provider .{8} are left out: its list has 27\d{4} bytes, of more than 262144 none are read', said), said
    assert re.search(r'^  adverts   [1-9]\d* of providers could not be read', ask(gateway, 'status', 'gateway'), re.M)
    assert int(re.search(r'^hypergate_adverts_dropped_total{.*} (\d+)', ask(gateway, 'metrics'), re.M)[1]) >= dropped
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [gate(port, Service(stack, serve_echo).port)]}})
    eventually(lambda: answers(port), 30, 'the services of another')
    assert gates_of(f'127.0.0.1 and sport >= {first} and sport < {first + 2600}') == 0
    assert len([line for line in gateway.log().splitlines() if 'are left out' in line]) == 1


@test
def lists_that_nobody_understands(stack):
    """port 0, port 70000, a name of 64 KiB, wrong types, no JSON, a thousand levels: a line for each provider, the good one served"""
    scene, (good, other) = Scene(stack), free_ports(2)
    entry = {'gatePort': good, 'servicePort': Service(scene.stack, serve_echo).port}
    garbage = [{**entry, 'gatePort': 0}, {**entry, 'gatePort': 70000}, {**entry, 'gatePort': other, 'serviceHost': 'h' * 65536},
               {**entry, 'gatePort': [other]}, {**entry, 'gatePort': other, 'protocol': {}}, {**entry, 'gatePort': other, 'tags': 7},
               'x', None]
    for services, advert in (([entry], json.dumps({'routes': [*garbage[:2], entry, *garbage[2:]]})), ([], '{"routes":[\x1b[31m'),
                             ([], '{"routes":' + '[' * 1000 + ']' * 1000 + '}')):
        double(stack, 'provider', scene.secret, scene.dht, services=services, advert=advert, advertiseMs=500)
    told_of = [scene.gateway.says(words, 40)[0] for words in
               ("are left out: 8 can't be understood; the first of these, number 1 in its list, has no gatePort",
                'are left out: its list is no JSON object', 'are left out: its list has more than 32 levels')]
    eventually(lambda: answers(good), 20, 'the good one')
    eventually(lambda: told(scene.gateway)['advertsDropped'] >= 8, 30, 'they are counted')
    dropped = told(scene.gateway)['advertsDropped']
    assert len({re.search('provider (.{8})', line)[1] for line in told_of}) == 3, told_of
    for pid in scene.gateway.workers('router'):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: told(scene.gateway)['advertsDropped'] > dropped, 30, 'it is counted on')
    assert answers(scene.echo) and not listens(other) and '\x1b' not in scene.gateway.log()
    assert 3 <= len([line for line in scene.gateway.log().splitlines() if 'are left out' in line]) <= 6, 'one each, by two workers'
    assert re.search(r'^  adverts   \d+ of providers could not be read', ask(scene.gateway, 'status', 'gateway'), re.M)


@test
def ten_thousand_services_of_an_original(stack):
    """1 MB of one like the original's, in one message that has room in no socket: told, and its connection stays, as all others do"""
    scene, first = Scene(stack), 20000
    double(stack, 'provider', scene.secret, scene.dht, services=[{'gatePort': first, 'servicePort': 1, 'ports': 10000}], advertiseMs=500)
    said = scene.gateway.says('are left out', 40)[0]
    assert re.search(r'all routes of provider .{8} are left out: its list has 1\d{6} bytes, of more than 262144 none are read', said), said
    eventually(lambda: told(scene.gateway)['advertsDropped'] >= 5, 30, 'it goes on, in the one connection')
    assert told(scene.gateway)['peers']['providers'] == 3
    assert 'the connection is lost' not in scene.gateway.log() and answers(scene.echo) and scene.is_whole()
    assert len([line for line in scene.gateway.log().splitlines() if 'are left out' in line]) == 1


@test
def twenty_five_thousand_services_of_an_original(stack):
    """more than 2 MiB in one message, of one like the original's: a warning that names it, counted, and its connection says why it ended"""
    scene, first = Scene(stack), 20000
    double(stack, 'provider', scene.secret, scene.dht, services=[{'gatePort': first, 'servicePort': 1, 'ports': 25000}], advertiseMs=500)
    said = scene.gateway.says('are left out', 40)[0]
    assert re.search(r'all routes of provider .{8} are left out: its connection ended with a message of 2\d{6} bytes, and more than 2097152 are '
                     'not taken: it needs fewer services', said), said
    ended = scene.gateway.says('more than is taken')[0]
    assert re.search('provider (.{8})', said)[1] == re.search(r'peer (.{8}): the connection is lost: it sent a message of 2\d{6} bytes', ended)[1]
    eventually(lambda: told(scene.gateway)['advertsDropped'] >= 3, 60, 'it comes again, and is counted')
    log = scene.gateway.log()
    assert log.count('the connection is lost') == log.count('more than is taken')
    assert answers(scene.echo) and scene.is_whole()
    assert len([line for line in scene.gateway.log().splitlines() if 'are left out' in line]) == 1


def echo_at(port):
    """What a client gets there, and after how many seconds."""
    began = time.monotonic()
    try:
        with connect(port, 40) as client:
            client.sendall(b'?')
            got = client.recv(1)
    except ConnectionResetError:
        got = 'reset'
    return got, time.monotonic() - began


@test
def a_service_of_an_original_that_is_silent(stack):
    """all its other services wait with it, and their clients are reset when their time is up; where another provider has it none notices"""
    secret, dht, (silent, behind) = new_secret(), start_dht(stack, 1), free_ports(2)
    echo = Service(stack, serve_echo).port
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {
        'listen': '127.0.0.1', 'openRequestTimeoutMs': 1000, 'routeFindingTimeoutMs': 3000}})
    double(stack, 'provider', secret, dht, advertiseMs=500, services=[{'gatePort': silent, 'servicePort': echo, 'stallMs': 60000},
                                                                      {'gatePort': behind, 'servicePort': echo}])
    eventually(lambda: listens(silent) and listens(behind), 20, 'the gates')
    for port in (silent, behind):               # the original handles what comes in turn
        got, took = echo_at(port)
        assert got == 'reset' and took > 2.5, (got, took)
    start_instance(stack, 'other', secret, {'bootstrap': [dht], 'provider': {'services': [gate(silent, echo)]}})
    eventually(lambda: answers(silent), 20, 'the other provider')
    with ThreadPoolExecutor(8) as clients:
        assert [got for got, _ in clients.map(echo_at, [silent] * 8)] == [b'?'] * 8
    assert len([line for line in gateway.log().splitlines() if 'no provider is known or answers' in line]) == 2


@test
def policies_of_networks_that_are_none(stack):
    """a policy with 10.0.0.0/33, 300.1.1.1, a bit too many, or no network at all: 78, and one line with its place and what it says"""
    place = folder(stack)
    env = {**os.environ, 'HYPERGATE_ROUTER': new_secret()}
    for network in ('10.0.0.0/33', '300.1.1.1', '10.0.0.1/8', '2001:db8::/129', 'fe80::/-1', '10.0.0.0/', '/8', 'all', '10.0.0',
                    '9' * 5000):
        path = write(os.path.join(place, 'provider.yaml'), 'provider:\n  services:\n    - {gatePort: 80, serviceHost: a, servicePort: 80, '
                     f'ingressPolicy: {{ips: {{"{network}": {{allow: true}}}}}}}}\n')
        done = subprocess.run([binary(), 'check', path], capture_output=True, text=True, timeout=60, check=False, env=env)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if ':3:' in line]
        assert done.returncode == 78 and len(lines) == 1 and len(lines[0]) < 600, (network, done)
        assert re.search(r'provider\.yaml:3:\d+: (error: )?.{20}', lines[0]), (network, lines)


if __name__ == '__main__':
    main()
