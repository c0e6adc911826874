#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Services of containers as these come, go, move and are called otherwise, at a real engine, which may die: seen by a client of the gateway. Ids
as S40 are those of the list of promises."""
import statistics
import time

import scene
from discovery import Discovery
from harness import Service, eventually, serve_bytes, test
from images import PAGE

TIMES = 5
# What is promised, and the patience that a machine with other work needs.
PROMISED_S, PATIENCE = 1.0, 5


def took(since, probe, what):
    eventually(probe, 30, what)
    return time.monotonic() - since


def within(what, all_s):
    print(f'# {what}: {statistics.median(all_s):.2f} s, {max(all_s):.2f} at most, of {len(all_s)}')
    assert max(all_s) < PROMISED_S * PATIENCE, f'{what}: {all_s}'


@test
def n09_within_a_second(stack):
    """N09: one that starts is reachable, and one that stops withdrawn, within a second; a service of the configuration is served all the time"""
    site = Discovery(stack, [{'gatePort': 9000, 'serviceHost': '127.0.0.1', 'servicePort': 9001, 'protocol': 'tcp'}])
    with site.network.inside():
        Service(stack, serve_bytes(PAGE.encode()), 9001)
    site.served(9000)
    start_s, stop_s = [], []
    for number in range(TIMES):
        gate = 8000 + number
        site.engine.ok('create', '--name', f'web{number}', '--network', 'net', '-l', f'hypergate.EXPOSE=80:{gate}', 'test/httpd')
        site.engine.ask('POST', f'/containers/web{number}/start')
        start_s.append(took(time.monotonic(), lambda: PAGE in site.page(gate), f'gate {gate} serves'))
        assert PAGE in site.page(9000)
    for number in range(TIMES):
        site.engine.ask('POST', f'/containers/web{number}/stop?t=2')
        stop_s.append(took(time.monotonic(), lambda: (8000 + number, 'tcp') not in site.routes(), f'web{number} is withdrawn'))
        assert PAGE in site.page(9000)
    within('from its start until it is served', start_s)
    within('from its stop until it is withdrawn', stop_s)


@test
def s40_joined_later(stack):
    """S40: one that joins the network later is called by its alias there, and is gone when it leaves; another name is another host"""
    site = Discovery(stack)
    site.engine.started('--name', 'db', '-l', 'hypergate.EXPOSE=80:8000', 'test/httpd')
    site.engine.started('--name', 'web', '--network', 'net', '-l', 'hypergate.EXPOSE=80:8001', 'test/httpd')
    site.served(8001)
    assert (8000, 'tcp') not in site.routes(), 'it is on no network of ours'
    site.engine.ok('network', 'connect', 'net', 'db', '--alias', 'mysql.hyper')
    since = time.monotonic()
    seen_s = [took(since, lambda: PAGE in site.page(8000), 'it is served')]
    assert site.addresses() == {'mysql.hyper': site.engine.address('db', 'net'), 'web': site.engine.address('web', 'net')}
    site.engine.ok('network', 'disconnect', 'net', 'db')
    since = time.monotonic()
    seen_s.append(took(since, lambda: (8000, 'tcp') not in site.routes(), 'it is withdrawn'))
    site.engine.ok('rename', 'web', 'shop')
    since = time.monotonic()
    seen_s.append(took(since, lambda: 'shop' in site.addresses(), 'its name'))
    assert PAGE in site.page(8001)
    within('from joining, leaving and another name until that is so', seen_s)


@test
def s39_a_network_that_is_there(stack):
    """S39: a network of that name that somebody has made is kept as it is; one that is taken away is made again"""
    site = Discovery(stack, docker={'network': ['net', 'mine'], 'refreshTime': 1000})
    site.provider.says('Docker network mine: made')
    site.engine.ok('network', 'rm', 'mine')
    eventually(lambda: site.provider.log().count('Docker network mine: made') == 2, 30, 'it is made again')
    site.engine.ok('network', 'create', '--subnet', '10.88.0.0/16', '--label', 'whose=theirs', 'theirs')
    before = site.engine.ask('GET', '/networks/theirs')
    other = site.finder('other', network='theirs')
    site.engine.started('--name', 'web', '--network', 'theirs', '--network-alias', 'web.hyper', 'test/httpd')
    eventually(lambda: 'web.hyper' in [one.get('alias') for one in site.told(other, 'services')], 30, 'it is found there')
    assert site.engine.ask('GET', '/networks/theirs') == {**before, 'Containers': site.engine.ask('GET', '/networks/theirs')['Containers']}
    assert 'Docker network theirs: made' not in other.log()


@test
def a_restart_and_a_dead_engine(stack):
    """one that starts again, maybe at another address, is served again; of a dead engine what was found stays, and what comes later is found"""
    site = Discovery(stack, conf={'live-restore': True})
    site.engine.started('--name', 'web', '--network', 'net', '-l', 'hypergate.EXPOSE=80:8000', 'test/httpd')
    site.served(8000)
    site.engine.ok('stop', 'web')
    site.engine.started('--name', 'in-its-place', '--network', 'net', 'test/busybox')
    site.engine.ok('start', 'web')
    site.served(8000)
    assert site.addresses()['web'] == site.engine.address('web', 'net') != site.engine.address('in-its-place', 'net')
    site.engine.ok('restart', 'web')
    site.served(8000)
    site.engine.kill()
    site.provider.says('Docker engine at')
    assert PAGE in site.page(8000), 'the container lives'
    site.engine.start()
    site.provider.says('it can be reached now')
    site.engine.started('--name', 'late', '--network', 'net', '-l', 'hypergate.EXPOSE=80:8001', 'test/httpd')
    site.served(8001)
    assert PAGE in site.page(8000)


@test
def an_engine_that_takes_its_containers_along(stack):
    """where containers die with the engine and are started again by the next one, they are served again, wherever they are then"""
    site = Discovery(stack)
    for number in range(2):
        site.engine.started('--name', f'web{number}', '--restart', 'always', '--network', 'net',
                            '-l', f'hypergate.EXPOSE=80:800{number}', 'test/httpd')
        site.served(8000 + number)
    site.engine.kill()
    site.engine.start()
    for number in range(2):
        site.served(8000 + number)
    eventually(lambda: site.addresses() == {f'web{number}': site.engine.address(f'web{number}', 'net') for number in range(2)},
               30, 'their addresses')


if __name__ == '__main__':
    scene.main()
