#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself does what tests of containers build upon: engines on machines of the NAT lab, a server and who asks it, an engine's death."""
import scene
from harness import eventually, test
from images import PAGE, load_busybox, load_mariadb
from nat_lab import Lab
from networks import Network
from scene import Engine, curl, served


def asked(engine, container, *words):
    """What busybox says in there, all of it."""
    done = engine.client('exec', container, *words)
    return done.stdout + done.stderr


@test
def machines(stack):
    """an engine on each of three machines behind routers: containers have names on one, and no port for the others but what is published"""
    lab = Lab(stack)
    engines = [Engine(stack, lab[name], pool=f'10.21{number}.0.0/16') for number, name in enumerate(('natA1', 'natB1', 'pub1'))]
    for number, engine in enumerate(engines):
        load_busybox(engine)
        engine.ok('network', 'create', 'net')
        engine.started('--network', 'net', '--network-alias', 'web', '-h', f'machine{number}', *(['-p', '8080:80'] if number == 2 else []),
                       'test/httpd')
        other = engine.started('--network', 'net', 'test/busybox')
        eventually(lambda: f'machine{number}' in asked(engine, other, 'wget', '-qO-', 'http://web/cgi-bin/who'), 20,
                   'a container by its alias')
    hidden = engines[0].address(engines[0].ok('ps', '-lq', '--filter', 'ancestor=test/httpd'), 'net')
    served(lab['natA1'], hidden, PAGE)
    assert 'machine2' in curl(lab['natB1'], f'{lab["pub1"].address}:8080/cgi-bin/who'), 'no published port'
    assert not curl(lab['natB1'], f'{hidden}/cgi-bin/who'), 'a container of another machine answers'


@test
def a_server_with_data(stack):
    """a MariaDB answers to its alias, with the password alone, and a page asks it"""
    engine = Engine(stack, Network(stack))
    load_mariadb(engine)
    engine.ok('network', 'create', 'net')
    engine.started('--network', 'net', '--network-alias', 'db', '-e', 'MARIADB_ROOT_PASSWORD=pass', 'test/mariadb')
    eventually(lambda: engine.client(*scene.mariadb('net', 'db', 'create database shop; create table shop.things (n int);'
                                                    'insert into shop.things values (1), (2), (3)')).returncode == 0, 60, 'the server answers')
    assert 'Access denied' in engine.client(*scene.mariadb('net', 'db', 'select 1', password='word')).stderr
    page = engine.started('--network', 'net', '-e', 'DATABASE=db', '-e', 'MYSQL_PWD=pass', 'test/page')
    served(engine.network, f'{engine.address(page, "net")}/cgi-bin/things', 'there are 3 rows')


@test
def a_dead_engine(stack):
    """containers outlive the engine and are found again by the next one; nothing is left of all when the test is over"""
    engine = Engine(stack, Network(stack), conf={'live-restore': True})
    load_busybox(engine)
    container = engine.started('test/httpd')
    address = engine.inspect(container)['NetworkSettings']['IPAddress']
    served(engine.network, address, PAGE)
    engine.kill()
    assert engine.client('version').returncode != 0 and PAGE in curl(engine.network, address)
    engine.start()
    assert engine.inspect(container)['State']['Running'] and PAGE in curl(engine.network, address)


if __name__ == '__main__':
    scene.main()
