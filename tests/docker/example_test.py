#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""S38 to S44: the second example of the original's manual, step by step as that has it: a database in a container, a page that asks it by name on
another machine, and a third machine that shows the page; all of ours are containers."""
import hashlib
import os
import pathlib

import scene
from bridge_test import NET, has
from harness import eventually, test
from images import OURS, load_mariadb
from sites import Sites
from scene import curl, ended, mariadb, served


# By hand, a gigabyte.
DUMP_MB = int(os.environ.get('EXAMPLE_DUMP_MB', '32'))
ROW_BYTES = 8 * 1024
FILL = 'create database shop; create table shop.things (n int); insert into shop.things values (1), (2), (3)'


def dumped(engine):
    """The digest of EXAMPLE_DUMP_MB that a client in a container there gets of mysql.hyper, and what it should be."""
    rows, wanted = DUMP_MB * 1024 * 1024 // ROW_BYTES, hashlib.sha256()
    for number in range(1, rows + 1):
        wanted.update(hashlib.sha512(str(number).encode()).hexdigest().encode() * (ROW_BYTES // 128) + b'\n')
    words = mariadb(NET, 'mysql.hyper', f'select repeat(sha2(seq, 512), {ROW_BYTES // 128}) from mysql.seq_1_to_{rows}')
    client = words.index('test/mariadb')
    words[words.index('mariadb')] = 'sh'
    got = engine.ok(*words[:client + 1], '-c', 'set -o pipefail; mariadb --quick "$@" | sha256sum', 'sh', *words[client + 1:])
    return got.split()[0], wanted.hexdigest()


def listening(engine, container):
    """TCP ports that are open in it."""
    pid = engine.inspect(container)['State']['Pid']
    lines = [line.split() for name in ('tcp', 'tcp6') for line in pathlib.Path(f'/proc/{pid}/net/{name}').read_text().splitlines()[1:]]
    own = [(words[1].split(':'), words[3]) for words in lines]
    return {int(port, 16) for (address, port), state in own if state == '0A' and not address.endswith('7F')}


@test
def s39_to_s43_three_machines(stack):
    """S39 to S44: mysql.hyper answers on machine 2, machine 3 shows the page that asks it, and has no other port open; none of it holds the secret"""
    sites = Sites(stack, 'natA1', 'natB1', 'pub1', network=None)
    one, two, three = (sites.engine[name] for name in ('natA1', 'natB1', 'pub1'))
    for engine in one, two:
        load_mariadb(engine)

    def ours(engine, *words):
        as_root = ['-u', 'root', '-v', f'{engine.socket}:/var/run/docker.sock']
        options = [word for word in words if word.startswith('-p=')]
        return engine.started(*as_root, *(word.replace('=', '') for word in options), '-e', f'HYPERGATE_ROUTER={sites.secret}', OURS,
                              *(word for word in words if word not in options), '--bootstrap', sites.dht)

    ours(one, '--docker', '--provider', '--network', NET)
    eventually(lambda: one.client('network', 'inspect', NET).returncode == 0, 60, 'the network is made')
    one.started('--name', 'mysql', '-l', 'hypergate.EXPOSE=3306', '-e', 'MARIADB_ROOT_PASSWORD=pass', 'test/mariadb')
    one.ok('network', 'connect', NET, 'mysql', '--alias', 'mysql.hyper')
    eventually(lambda: one.client(*mariadb(NET, 'mysql.hyper', FILL)).returncode == 0, 60, 'the database')

    gateway = ours(two, '--docker', '--gateway', '--listen', '0.0.0.0', '--network', NET)
    ours(two, '--docker', '--provider', '--network', NET)
    eventually(lambda: two.client('network', 'inspect', NET).returncode == 0, 60, 'the network is made')
    two.started('--name', 'phpmyadmin', '-l', 'hypergate.EXPOSE=80', '-e', 'DATABASE=mysql.hyper', '-e', 'MYSQL_PWD=pass', 'test/page')
    two.ok('network', 'connect', NET, 'phpmyadmin', '--alias', 'phpmyadmin.hyper')
    eventually(lambda: two.client(*mariadb(NET, 'mysql.hyper', 'select 6 * 7')).stdout == '42\n', 90, 'S42: mysql.hyper on machine 2')
    has(two, 'mysql.hyper')
    got, wanted = dumped(two)
    assert got == wanted, 'other bytes came'

    # With a public address its UDP port is published, too: the machine tells strangers that nobody is there.
    shown = ours(three, '-p=8080:80', '-p=49737:49737/udp', '--docker', '--gateway', '--listen', '0.0.0.0', '--network', NET,
                 '--exposeOnlyServices', 'phpmyadmin.hyper')
    served(sites.lab['fw1'], f'{sites.lab["pub1"].address}:8080/cgi-bin/things', 'there are 3 rows', 90)
    assert listening(three, shown) == {80}, listening(three, shown)
    names = two.ok('ps', '-a', '--no-trunc', '--format', '{{.Names}} {{.Command}} {{.Labels}}') + two.ok('network', 'ls')
    assert sites.secret not in names
    two.client('kill', gateway)
    has(two)
    two.ok('start', gateway)
    served(sites.lab['fw1'], f'{sites.lab["pub1"].address}:8080/cgi-bin/things', 'there are 3 rows', 90)
    assert ended(two, gateway) == 0, two.logs(gateway)
    has(two)


if __name__ == '__main__':
    scene.main()
