# SPDX-License-Identifier: BSD-3-Clause
"""Databases behind a gate, and their own clients: what is dumped and loaded through it is what is there. DATABASE_MB: how much (50)."""
import os
import subprocess

from place import MariaDb, PostgreSql, bytes_at, digest_of, folder, gate, meet, says, server

from harness import free_ports, main, test

MEGABYTES = int(os.environ.get('DATABASE_MB', '50'))


def dumped_and_loaded(stack, database):
    """The same bytes: dumped where it runs and through the gate, and once more of what was loaded through the gate."""
    place, (port,) = folder(stack), free_ports(1)
    database.fill(database.port, MEGABYTES)
    meet(stack, [gate(port, database.port)])
    here, there, again = (os.path.join(place, name) for name in ('here', 'there', 'again'))
    wanted = database.dump(database.port, 'first', here)
    assert os.path.getsize(here) > MEGABYTES * 1000 * 1000
    assert database.dump(port, 'first', there) == wanted
    database.load(port, 'second', there)
    assert database.dump(database.port, 'second', again) == wanted
    return port


@test
def mariadb_is_dumped_and_loaded(stack):
    """MariaDB: a dump through the gate, and what is loaded from it through the gate, are byte for byte what is there; twenty clients"""
    database = MariaDb(stack)
    port = dumped_and_loaded(stack, database)
    for number in range(20):
        assert database.ask(port, f'SELECT {number} * 2, @@port') == f'{number * 2}\t{database.port}'


@test
def postgresql_is_dumped_and_loaded(stack):
    """PostgreSQL: the same; and pgbench, ten clients at once"""
    database = PostgreSql(stack)
    port = dumped_and_loaded(stack, database)
    says(*database.words(port, 'pgbench'), '-i', '-q', 'postgres')
    said = says(*database.words(port, 'pgbench'), '-c', '10', '-t', '50', 'postgres')
    assert 'processed: 500/500' in said and 'failed transactions: 0 ' in said, said
    assert database.ask(port, 'SELECT count(*) FROM pgbench_history') == '500'


@test
def redis_is_asked_by_many(stack):
    """Redis: 64 clients of redis-benchmark, with one request at a time and sixteen, each of which is answered; 20 MB there and back"""
    place, (service, port) = folder(stack), free_ports(2)
    server(stack, service, 'redis-server', '--port', str(service), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
           '--dir', place)
    meet(stack, [gate(port, service)])
    words = ['-h', '127.0.0.1', '-p', str(port)]
    for pipelined, requests in ((1, 10000), (16, 64000)):
        said = says('redis-benchmark', *words, '-c', '64', '-n', str(requests), '-P', str(pipelined), '-t', 'set,get,lpush', '--csv')
        assert 'rror' not in said and [line.split(',')[0] for line in said.splitlines()] == ['"test"', '"SET"', '"GET"', '"LPUSH"'], said
    assert says('redis-cli', *words, 'LLEN', 'mylist') == '74000\n'
    value, back = os.path.join(place, 'value'), os.path.join(place, 'back')
    wanted = bytes_at(value, 20 << 20)
    with open(value, 'rb') as file:
        subprocess.run(['redis-cli', *words, '-x', 'SET', 'large'], stdin=file, check=True, capture_output=True)
    with open(back, 'wb') as file:
        subprocess.run(['redis-cli', *words, '--raw', 'GET', 'large'], stdout=file, check=True)
    with open(back, 'r+b') as file:
        file.truncate(20 << 20)         # it ends what it prints with a line feed
    assert digest_of(back) == wanted


if __name__ == '__main__':
    main()
