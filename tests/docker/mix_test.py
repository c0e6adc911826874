#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Containers and plain machines in any mix, with services that a file names: behind the engine's own NAT and that of a home router. Ids as S04
are those of the list of promises."""
import os

import scene
from harness import MB, digest, eventually, new_secret, test
from images import PAGE, load_mariadb
from scene import curl, mariadb, said, served, services
from sites import Sites

GATE = 13306
# A machine that tells strangers that nobody is there gives a container of its own that calls them another port then.
REACHED = ['-p', '49737:49737/udp']


@test
def s04_any_mix(stack):
    """S04: provider and gateway, each on a machine and in a container: a MariaDB in a container answers a client behind another router"""
    sites = Sites(stack, 'natA1', 'natB1')
    here, there = sites.engine['natA1'], sites.engine['natB1']
    for engine in here, there:
        load_mariadb(engine)
    here.started('--name', 'db', '--network', 'net', '-e', 'MARIADB_ROOT_PASSWORD=pass', 'test/mariadb')
    for number, (provider, gateway) in enumerate((one, two) for one in ('machine', 'container') for two in ('machine', 'container')):
        sites.secret, gate = new_secret(), GATE + number
        sites.provider(provider, 'natA1', gate, 'db', 3306)
        sites.gateway(gateway, 'natB1', gate)
        words = mariadb('host', sites.lab['natB1'].address, 'select "it is", 6 * 7')
        words[words.index('-u'):words.index('-u')] = ['-P', str(gate)]
        eventually(lambda: there.client(*words).stdout == 'it is\t42\n', 60, f'provider: {provider}, gateway: {gateway}: an answer')


@test
def s12_out_of_a_firm(stack):
    """S12: a container behind a router of a firm is served to strangers by a gateway in a container: 20 MB are the same, no port is open there"""
    sites = Sites(stack, 'sym1', 'pub1')
    engine = sites.engine['sym1']
    bulk = os.urandom(20 * MB)
    folder = os.path.join(engine.folder, 'www')
    os.mkdir(folder)
    for name, content in ('bulk', bulk), ('index.html', PAGE.encode()):
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(content)
    engine.started('--name', 'web', '--network', 'net', '-v', f'{folder}:/www:ro', 'test/httpd')
    provider = sites.provider('container', 'sym1', 8080, 'web', 80)
    sites.gateway('container', 'pub1', 8080, *REACHED)
    served(sites.lab['natB1'], f'{sites.lab["pub1"].address}:8080', PAGE, 60)
    got = os.path.join(engine.folder, 'got')
    curl(sites.lab['natB1'], f'{sites.lab["pub1"].address}:8080/bulk', '-o', got)
    with open(got, 'rb') as file:
        assert digest(file.read()) == digest(bulk), 'other bytes came'
    assert engine.inspect(provider)['NetworkSettings']['Ports'] == {}, 'the provider has a port open'
    assert not curl(sites.lab['natB1'], f'{sites.lab.routers["S1"].wan}:8080')


@test
def s41_both_on_one_machine(stack):
    """S41, by a file: both roles on one machine, in one daemon and in two: its page asks a database by name, and a third machine shows it"""
    sites = Sites(stack, 'natA1', 'natB1', 'pub1')
    first, second = sites.engine['natA1'], sites.engine['natB1']
    for engine in first, second:
        load_mariadb(engine)
    first.started('--name', 'db', '--network', 'net', '-e', 'MARIADB_ROOT_PASSWORD=pass', 'test/mariadb')
    fill = 'create database shop; create table shop.things (n int); insert into shop.things values (1), (2), (3)'
    eventually(lambda: first.client(*mariadb('net', 'db', fill)).returncode == 0, 60, 'the database')
    sites.provider('container', 'natA1', 3306, 'db', 3306)
    second.started('--name', 'page', '--network', 'net', '-e', 'DATABASE=mysql.hyper', '-e', 'MYSQL_PWD=pass', 'test/page')
    roles = ['--provider', services((8000, 'page', 80)), '--listen', '0.0.0.0', '--gateway', services((3306, 'db', 3306))]
    shows = f'{sites.lab["pub1"].address}:8000/cgi-bin/things'
    sites.gateway('container', 'pub1', 8000, *REACHED)
    for parts in [roles], [roles[:2], roles[2:]]:
        started = [sites.container('natB1', *(['--network-alias', 'mysql.hyper'] if '--gateway' in words else []), ours=words) for words in parts]
        served(sites.lab['fw1'], shows, 'there are 3 rows', 60)
        for container in started:
            second.ok('stop', container)
        eventually(lambda: 'there are' not in curl(sites.lab['fw1'], shows), 30, 'it is gone')


if __name__ == '__main__':
    scene.main()
