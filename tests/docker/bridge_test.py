#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The virtual network at real engines: containers of one machine by name in containers of another, and what is left when somebody dies. Ids as S11
are those of the list of promises."""
import contextlib
import os
import subprocess
import sys
import tempfile

import scene
from harness import eventually, memory_kib, start_instance, test
from images import PAGE
from sites import Sites

# More by hand: so many containers come and go.
CHURN = int(os.environ.get('BRIDGE_CHURN', '16'))
NET = 'hypergatenet'

# Whatever name is asked for, at 127.0.0.1 as UDP: its address is 192.0.2.7.
NAMES = '''
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    asked, client = server.recvfrom(512)
    name = asked[12:asked.index(0, 12) + 5]
    known = name[-4:] == bytes((0, 1, 0, 1))
    server.sendto(asked[:2] + bytes((0x81, 0x80, 0, 1, 0, known, 0, 0, 0, 0)) + name +
                  known * bytes((0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7)), client)
'''


def helpers(engine):
    """{host: its container} of our helpers, running or not."""
    found = engine.ask('GET', '/containers/json?all=1&filters=%7B%22label%22%3A%5B%22hypergate.helper%22%5D%7D')
    return {one['Labels']['hypergate.host']: one for one in found}


def has(engine, *hosts, seconds=60):
    last = []

    def look():
        last[:] = [set(helpers(engine))]
        return last[0] == set(hosts)
    try:
        eventually(look, seconds, f'helpers of {sorted(hosts)}')
    except AssertionError as error:
        raise AssertionError(f'{error}: there are those of {sorted(last[0])}') from None


class Bridge(Sites):
    """A provider at natA1 and a gateway at natB1, no containers themselves, which have found each other. Container client: one at natB1, that asks."""

    def __init__(self, stack, services=()):
        super().__init__(stack, 'natA1', 'natB1', network=None)
        self.services = list(services)
        self.here, self.there = self.engine['natA1'], self.engine['natB1']
        self.provider, self.gateway = self.daemon('natA1', 'provider'), self.daemon('natB1', 'gateway')
        for instance in self.provider, self.gateway:
            instance.says(f'Docker network {NET}: made', 60)
        self.there.started('--name', 'client', '--network', NET, 'test/busybox')

    def daemon(self, machine, role):
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix='hypergate-test-'))
        os.chmod(folder, 0o755)         # as /run/hypergate is
        with self.lab[machine].inside():
            return start_instance(self.stack, role, self.secret, {
                'bootstrap': self.dht.split(','), role: {'listen': '127.0.0.1'} if role == 'gateway' else {'services': self.services},
                'docker': {'socket': self.engine[machine].socket, 'network': NET}}, env={'RUNTIME_DIRECTORY': folder})

    def page(self, host):
        """As a container of the other machine gets it."""
        return self.there.client('exec', 'client', 'timeout', '5', 'wget', '-qO-', f'http://{host}/').stdout

    def served(self, host, seconds=60):
        eventually(lambda: PAGE in self.page(host), seconds, f'the page of {host}')


@test
def s11_two_hosts_with_one_port(stack):
    """S11, S23: containers answer in another machine's network, by alias and their own port, two at the same; a local name stays local"""
    site = Bridge(stack)
    for host in 'one.hyper', 'two.hyper':
        site.here.started('--network', NET, '--network-alias', host, '-h', host, 'test/httpd')
    mine = site.there.started('--network', NET, '--network-alias', 'mine.hyper', '-h', 'mine.there', 'test/httpd')
    site.here.started('--network', NET, '--network-alias', 'mine.hyper', '-h', 'mine.here', 'test/httpd')
    who = lambda host: site.there.client('exec', 'client', 'timeout', '5', 'wget', '-qO-', f'http://{host}/cgi-bin/who').stdout.strip()
    for host in 'one.hyper', 'two.hyper':
        eventually(lambda: who(host) == host, 60, f'{host} answers')
    has(site.there, 'one.hyper', 'two.hyper')
    assert who('mine.hyper') == 'mine.there'
    about = site.there.inspect(helpers(site.there)['one.hyper']['Id'])
    assert site.secret not in str(about) and about['Config']['User'].split(':')[0] != '0' and about['HostConfig']['CapDrop'] == ['ALL'], about
    site.there.ok('rm', '-fv', mine)
    eventually(lambda: who('mine.hyper') == 'mine.here', 60, 'the name is free: it is that of the other machine')
    assert site.gateway.stop() == 0
    has(site.there)


@test
def s23_datagrams(stack):
    """S23: a service of datagrams is a host, too: a container of another machine asks it for a name, at its own port"""
    site = Bridge(stack, [{'gatePort': 5300, 'serviceHost': '127.0.0.1', 'servicePort': 53, 'protocol': 'udp', 'alias': 'dns.hyper'}])
    with site.lab['natA1'].inside():
        server = subprocess.Popen([sys.executable, '-c', NAMES])
    stack.callback(server.wait)
    stack.callback(server.kill)
    asks = lambda: site.there.client('exec', 'client', 'timeout', '5', 'busybox', 'nslookup', '-type=a', 'any.name.test', 'dns.hyper').stdout
    eventually(lambda: '192.0.2.7' in asks(), 60, 'the name is answered')
    has(site.there, 'dns.hyper')


@test
def n10_whoever_dies(stack):
    """N10: no helper outlives a killed daemon, a stopped one or its service; whoever comes back, daemon or engine, serves again"""
    site = Bridge(stack)
    site.here.started('--name', 'web', '--restart', 'always', '--network', NET, '--network-alias', 'web.hyper', 'test/httpd')
    site.there.ok('update', '--restart', 'always', 'client')
    site.served('web.hyper')
    site.gateway.process.kill()
    site.gateway.process.wait()
    has(site.there)
    site.gateway = site.daemon('natB1', 'gateway')
    site.served('web.hyper')
    for engine in site.there, site.here:
        engine.kill()
        engine.start()
        site.served('web.hyper', 90)
        has(site.there, 'web.hyper')
    site.here.ok('stop', 'web')
    has(site.there)
    assert site.gateway.stop() == 0


@test
def churn(stack):
    """containers come and go, BRIDGE_CHURN of them: their helpers go with them; nothing is left of them in any process, descriptors and memory"""
    site, at_a_time = Bridge(stack), min(CHURN, 8)
    daemons = site.provider, site.gateway

    def round_of(first):
        names = [f'c{number}.hyper' for number in range(first, first + at_a_time)]
        site.here.run_all({name: ('test/httpd', {}, {}) for name in names}, ['httpd', '-f', '-p', '80', '-h', '/www'], NET)
        has(site.there, *names, seconds=120)
        site.served(names[-1])
        site.here.remove_all(names)
        has(site.there, seconds=120)

    def held():
        return [(len(daemon.tree()), sum(descriptors(pid) for pid in daemon.tree())) for daemon in daemons]

    round_of(0)
    before, kib = held(), [memory_kib(daemon) for daemon in daemons]
    for first in range(at_a_time, CHURN, at_a_time):
        round_of(first)
    eventually(lambda: held() == before, 30, lambda: f'(processes, descriptors) of provider and gateway: {before}, now {held()}')
    grown = [memory_kib(daemon) - was for daemon, was in zip(daemons, kib)]
    print(f'# {CHURN} containers: processes and descriptors {before}, memory {kib} KiB, {grown} more')
    assert max(grown) < 4096, grown
    assert len(site.there.ask('GET', '/containers/json?all=1')) == 1


def descriptors(pid):
    with contextlib.suppress(OSError):
        return len(os.listdir(f'/proc/{pid}/fd'))
    return 0


if __name__ == '__main__':
    scene.main()
