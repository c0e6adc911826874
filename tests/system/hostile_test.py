# SPDX-License-Identifier: BSD-3-Clause
"""Strangers at the sockets, deaths under load, limits of the system: what is carried stays whole, what breaks is seen to break.

STRANGERS names the program that floods."""
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time

from harness import (MB, Pair, Process, answers, connect, digest, eventually, how_it_ends, listens, main, memory_factor, memory_kib,
                     open_files, pattern, program, read_all, serve_bytes, serve_echo, start_instance, status, test, test_of_what_ships, udp_ports)

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'vectors')
SEED = int(os.environ.get('HOSTILE_SEED', '4711'))
DEATHS = int(os.environ.get('HOSTILE_DEATHS', '15'))
DESCRIPTORS = 64
ROOM_KIB = 360          # of memory beyond what it has: a part for those that run, and some hundred connections
CROWD = 600
ROUNDS = 50
BULK = pattern('bulk', 20 * MB)


def descriptors(instance):
    """How many each process holds: a sorted list of (program, number)."""
    return sorted((program(pid), open_files(pid)) for pid in instance.tree())


def connections():
    """TCP sockets of this network, which is this test's own, that somebody holds and that do not listen."""
    with open('/proc/self/net/tcp') as file:
        held = [line.split() for line in file.readlines()[1:]]
    return [one for one in held if one[3] != '0A' and one[9] != '0']


def hostile_seeds():
    """What the reference was sent by hand, and what was seen on the wire."""
    with open(os.path.join(VECTORS, 'dht-hostile.json')) as file:
        seeds = [case['hex'] for case in json.load(file)['cases']]
    with open(os.path.join(VECTORS, 'dht-session.json')) as file:
        seeds += [packet['hex'] for packet in json.load(file)['packets'][::2]]
    return '\n'.join(seed for seed in seeds if 0 < len(seed) <= 3000)


def strangers(seconds, per_second, ports):
    flood = subprocess.Popen([os.environ['STRANGERS'], str(SEED), str(seconds), str(per_second), *ports],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    flood.stdin.write(hostile_seeds())
    flood.stdin.close()
    return flood


def download(port):
    began = time.monotonic()
    with connect(port, 60) as connection:
        got = read_all(connection)
    assert digest(got) == digest(BULK), f'{len(got)} of {len(BULK)} bytes'
    return time.monotonic() - began


def bootstrap_nodes():
    return [process for process in Process.running if process.name.startswith('dht ')]


@test
def strangers_at_every_socket(stack):
    """strangers flood provider, gateway and DHT nodes: a transfer goes on, nothing grows, nothing is logged, little is answered"""
    pair = Pair(stack, bulk=serve_bytes(BULK), echo=serve_echo)
    instances = [pair.provider, pair.gateway, *bootstrap_nodes()]
    quiet = min(download(pair.gate['bulk']) for _ in range(2))
    before = {instance.name: (memory_kib(instance), len(instance.log()), instance.settled()) for instance in instances}
    flood = strangers(8, 20000, [port for instance in instances for port in udp_ports(instance)])
    flooded = download(pair.gate['bulk'])
    assert flood.wait(30) == 0
    sent, sent_bytes, received, received_bytes = map(int, flood.stdout.read().split())
    print(f'# {sent} datagrams, {sent_bytes} bytes; {received} answers, {received_bytes} bytes; 20 MB in {quiet:.2f} s before, '
          f'{flooded:.2f} s meanwhile')
    assert sent > 10000
    # The reference answers some of the seeds with more bytes than it was asked with; the most of all is what counts.
    assert received_bytes < sent_bytes, 'strangers get more than they send'
    assert answers(pair.gate['echo'])
    for instance in instances:
        held, logged, tree = before[instance.name]
        grown = memory_kib(instance) - held
        print(f'# {instance.name}: {held} KiB, grown by {grown}')
        assert grown < 24 * 1024 * memory_factor(), f'{instance.name} grew by {grown} KiB'
        assert len(instance.log()) - logged < 2000, f'{instance.name} says what strangers make it say'
        assert instance.tree() == tree, f'{instance.name}: a process died'


@test
def as_fast_as_they_can(stack):
    """a process that sends datagrams as fast as it can: the transfer gets through, and service is as before afterwards"""
    pair = Pair(stack, bulk=serve_bytes(BULK), echo=serve_echo)
    flood = strangers(4, 10**9, udp_ports(pair.provider) + udp_ports(pair.gateway))
    took = download(pair.gate['bulk'])
    assert flood.wait(30) == 0
    print(f'# {flood.stdout.read().split()[0]} datagrams in 4 s; 20 MB in {took:.2f} s')
    assert answers(pair.gate['echo'])


class Load:
    """Downloads through a gate, one after another, until it is told to stop. Each is whole or seen to break."""

    def __init__(self, port, runners=3):
        self.port, self.going, self.whole, self.broken, self.wrong = port, True, 0, 0, []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(runners)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while self.going:
            try:
                got = b''
                with connect(self.port, 30) as connection:
                    got = read_all(connection)
                if digest(got) == digest(BULK[:2 * MB]):
                    self.whole += 1
                else:
                    self.wrong.append(f'{len(got)} bytes and an orderly end')
            except TimeoutError:
                self.wrong.append('neither bytes nor an end')
            except OSError:
                self.broken += 1

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join(60)
        assert not self.wrong, self.wrong


class Steady:
    """A connection that never rests: words of all lengths go to an echo and come back, and both ways are hashed."""

    def __init__(self, address, seed):
        self.rng, self.going, self.turns, self.ended = random.Random(seed), True, 0, None
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        self.connection = socket.create_connection(address, timeout=30)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while self.going:
                word = self.rng.randbytes(self.rng.randrange(1, 60000))
                self.connection.sendall(word)
                self.sent.update(word)
                left = len(word)
                while left and (chunk := self.connection.recv(left)):
                    self.received.update(chunk)
                    left -= len(chunk)
                if left:
                    self.ended = 'end'
                    return
                self.turns += 1
            self.connection.shutdown(socket.SHUT_WR)
            self.ended = how_it_ends(self.connection)
        except OSError as error:
            self.ended = 'reset' if isinstance(error, (ConnectionResetError, BrokenPipeError)) else repr(error)
        finally:
            self.connection.close()

    def check_broken(self, what):
        self.thread.join(30)
        assert self.ended == 'reset', f'{what}: what was carried ended with {self.ended}'

    def check_whole(self, what):
        was = self.turns
        eventually(lambda: self.turns > was + 1 or self.ended, 20, f'{what}: what was not carried goes on')
        assert not self.ended, f'{what}: what was not carried ended with {self.ended}'

    def stop(self):
        self.going = False
        self.thread.join(30)
        assert self.ended == 'end' and self.sent.digest() == self.received.digest(), f'{self.ended}, or not what was sent'


@test
def any_worker_at_any_moment(stack):
    """workers are killed at random moments under load: exactly what they carried is reset, service returns, nothing is left behind"""
    rng = random.Random(SEED)
    pair = Pair(stack, bulk=serve_bytes(BULK[:2 * MB]), echo=serve_echo)
    beside = start_instance(stack, 'gateway beside', pair.secret, {'bootstrap': [pair.dht], 'gateway': {'listen': '127.0.0.2'}})
    sides, gateways = [pair.provider, pair.gateway, beside], {pair.gateway: '127.0.0.1', beside: '127.0.0.2'}
    echo = {gateway: (host, pair.gate['echo']) for gateway, host in gateways.items()}
    for address in echo.values():                       # all workers are up
        eventually(lambda: echoes(address), 20, f'service at {address}')
    assert len(read_all(connect(pair.gate['bulk']))) == 2 * MB
    for side in sides:
        side.settled()
    eventually(lambda: not connections(), 20, 'all connections so far are closed')
    settled = {side.name: descriptors(side) for side in sides}
    seen = {pid for side in sides for pid in side.tree()}
    steady = {gateway: Steady(address, SEED) for gateway, address in echo.items()}
    load = Load(pair.gate['bulk'])
    broken = 0
    for n in range(DEATHS):
        side = rng.choice(sides)
        role = rng.choice(['swarm', 'swarm', 'router', 'forward', 'forward', 'resolve'])
        what = f'death {n} of seed {SEED}, {role} of the {side.name}'
        victims = eventually(lambda: side.workers(role), 20, f'{side.name} has a {role} worker')
        seen.update(victims)
        time.sleep(rng.random())
        try:
            os.kill(rng.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            continue
        for gateway, address in echo.items():
            carried = role == 'swarm' and side in (gateway, pair.provider)
            if carried:
                steady[gateway].check_broken(what)
                broken += 1
            eventually(lambda: echoes(address), 20, f'{what}: service returns at {address}')
            if carried:
                steady[gateway] = Steady(address, SEED + n)
            else:
                steady[gateway].check_whole(what)
    load.stop()
    for one in steady.values():
        one.stop()
    print(f'# {load.whole} whole, {load.broken} reset; of those that never rest {broken} were carried by the killed and reset, '
          f'all others whole')
    assert load.whole > 0
    eventually(lambda: not pair.service['bulk'].open and not pair.service['echo'].open, 20, 'no connection to a service stays')
    for side in sides:
        roles = ['swarm', 'router', 'resolve']
        eventually(lambda: all(len(side.workers(role)) == 1 for role in roles), 20, f'one worker of each role at the {side.name}')

        was = settled[side.name]
        try:
            eventually(lambda: descriptors(side) == was, 20, f'{side.name} holds as many descriptors as before')
        except AssertionError:
            print('#', was, descriptors(side))
            raise
        seen.update(side.tree())
    for side in sides:
        assert side.stop() == 0
    eventually(lambda: not [pid for pid in seen if program(pid).startswith('hypergate')], 5, 'nobody is left')
    assert not listens(pair.gate['echo']) and not listens(pair.gate['bulk'])


def echoes(address):
    try:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b'?')
            return connection.recv(1) == b'?'
    except OSError:
        return False


@test
def supervisor_killed(stack):
    """a supervisor killed under load: nothing survives it, clients see a reset, its gate is free"""
    pair = Pair(stack, bulk=serve_bytes(BULK), echo=serve_echo)
    for side in (pair.gateway, pair.provider):
        running = connect(pair.gate['echo']) if side is pair.gateway else None
        if running:
            running.sendall(b'x')
            assert running.recv(1) == b'x'
        tree = side.tree()
        side.process.send_signal(signal.SIGKILL)
        side.process.wait()
        eventually(lambda: not [pid for pid in tree if program(pid).startswith('hypergate')], 5, 'workers end with their supervisor')
        if running:
            assert how_it_ends(running) == 'reset'
            eventually(lambda: not listens(pair.gate['echo']), 5, 'its gate is free')     # its worker's files go after its name


def workers_of(instance):
    """And not who derives a key: it has done so when others are served, and may just be ending."""
    return [pid for pid in instance.tree() if program(pid).startswith('hypergate-')]


def check_descriptors_run_out(stack, side):
    pair = Pair(stack, echo=serve_echo)
    getattr(pair, side).stop()
    instance = getattr(pair, f'start_{side}')(['prlimit', f'--nofile={DESCRIPTORS}:{DESCRIPTORS}', '--'])
    eventually(lambda: answers(pair.gate['echo']), 20, 'service with few descriptors')
    workers = workers_of(instance)
    steady = connect(pair.gate['echo'], 10)
    steady.sendall(b'x')
    assert steady.recv(1) == b'x'
    crowd = [steady]
    for n in range(2 * DESCRIPTORS):
        with contextlib.suppress(ConnectionError):      # one too many is reset, at once or a moment later
            crowd.append(connect(pair.gate['echo'], 5))
            crowd[-1].sendall(b'hello')
    crowd.remove(steady)
    served = sum(echoed(one) for one in crowd)
    print(f'# {served} of {2 * DESCRIPTORS} served; descriptors {descriptors(instance)}')
    assert 0 < served < 2 * DESCRIPTORS, f'{served} of {2 * DESCRIPTORS} served'
    for _ in range(2):
        steady.sendall(b'steady')
        assert steady.recv(10) == b'steady', 'who was there before stays'
        for one in crowd:
            one.close()
        eventually(lambda: answers(pair.gate['echo']), 10, 'service returns when descriptors do')
    assert workers_of(instance) == workers, 'a process died of it'


def limit_memory(instance, room_kib):
    """Its swarm worker gets no more than @room_kib beyond what it has; None: as much as it likes."""
    worker = instance.workers('swarm')[0]
    limit = 'unlimited' if room_kib is None else (int(status(worker)['VmData'].split()[0]) + room_kib) * 1024
    owner = {'user': int(status(worker)['Uid'].split()[0]), 'group': int(status(worker)['Gid'].split()[0]), 'extra_groups': []}
    subprocess.run(['prlimit', '--pid', str(worker), f'--data={limit}:'], check=True, **(owner if os.getuid() == 0 else {}))


def count_served(crowd, steady):
    """How many of the @crowd are, once no more have been while @steady, who goes the same way, was answered ROUNDS times in a row."""
    waiting, rounds = set(crowd), 0

    def served():
        now = {one for one in waiting if echoed(one, 0)}
        waiting.difference_update(now)
        return now
    eventually(served, 20, 'some are served')
    while rounds < ROUNDS:
        steady.sendall(b'?')
        assert steady.recv(1) == b'?'
        rounds = 0 if served() else rounds + 1
    return len(crowd) - len(waiting)


def check_memory_runs_out(stack, side):
    pair = Pair(stack, echo=serve_echo)
    eventually(lambda: answers(pair.gate['echo']), 20, 'service')
    instance, tree = getattr(pair, side), getattr(pair, side).settled()
    limit_memory(instance, ROOM_KIB)
    steady = connect(pair.gate['echo'], 10)
    steady.sendall(b'x')
    assert steady.recv(1) == b'x'
    for _ in range(2):
        crowd = []
        for _ in range(CROWD):
            with contextlib.suppress(ConnectionError):      # one too many is reset
                crowd.append(socket.create_connection(('127.0.0.1', pair.gate['echo']), timeout=5))
                crowd[-1].sendall(b'hello')
        served = count_served(crowd, steady)
        print(f'# {served} of {CROWD} served')
        assert 0 < served < CROWD
        steady.sendall(b'steady')
        assert steady.recv(10) == b'steady', 'who was there before stays'
        for one in crowd:
            one.close()
        eventually(lambda: answers(pair.gate['echo']), 20, 'service returns when memory does')
    assert instance.tree() == tree, 'a process died of it'
    assert instance.log().count('no memory left for new connections: refused until that changes') == 1
    assert len(instance.log().splitlines()) < 20, 'each is told'


class Questions:
    """Small questions to an echo, one after the other, on one connection; how long the slowest answer took."""

    def __init__(self, port):
        self.going, self.turns, self.slowest, self.ended = True, 0, 0, None
        self.connection = connect(port, 30)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while self.going:
                began, question = time.monotonic(), b'question %d' % self.turns
                self.connection.sendall(question)
                answer = b''
                while len(answer) < len(question) and (chunk := self.connection.recv(100)):
                    answer += chunk
                if answer != question:
                    self.ended = f'{answer} to {question}'
                    return
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.turns += 1
                time.sleep(0.01)
        except OSError as error:
            self.ended = repr(error)

    def stop(self):
        self.going = False
        self.thread.join(40)
        self.connection.close()
        print(f'# {self.turns} answers, {self.slowest:.2f} s the slowest')
        assert not self.ended, f'who was there before ends after {self.turns} answers: {self.ended}'
        assert self.turns > 0


def ended_download(port, rate=None):
    """'whole' by its digest, or how it broke. Read at @rate bytes a second; None: as fast as it comes."""
    got = bytearray()
    try:
        with connect(port, 60) as connection:
            while chunk := connection.recv(65536):
                got += chunk
                if rate:
                    time.sleep(len(chunk) / rate)
    except OSError as error:
        return repr(error)
    return 'whole' if digest(got) == digest(BULK) else f'{len(got)} bytes and an orderly end'


def check_downloads_without_memory(stack, side, stopped):
    """@stopped readers who take nothing are there, too: they are left or reset, as need be."""
    pair = Pair(stack, echo=serve_echo, bulk=serve_bytes(BULK))
    eventually(lambda: answers(pair.gate['echo']), 20, 'service')
    instance, tree = getattr(pair, side), getattr(pair, side).settled()
    steady = Questions(pair.gate['echo'])
    limit_memory(instance, ROOM_KIB)
    outcomes, stand_still = [], []
    readers = [threading.Thread(target=lambda: outcomes.append(ended_download(pair.gate['bulk'])), daemon=True) for _ in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(stopped):
        with contextlib.suppress(OSError):
            stand_still.append(connect(pair.gate['bulk'], 10))
    for reader in readers:
        reader.join(60)
    steady.stop()
    print('#', outcomes, [how_it_ends(one) for one in stand_still])
    assert outcomes == ['whole'] * 4
    assert answers(pair.gate['echo']), 'a new connection'
    assert instance.tree() == tree, 'a process died of it'
    limit_memory(instance, None)


@test_of_what_ships
def downloads_without_memory_at_the_gateway(stack):
    """four downloads through a gateway without memory: all whole, and small questions beside them are answered"""
    check_downloads_without_memory(stack, 'gateway', 0)


@test_of_what_ships
def downloads_without_memory_at_the_provider(stack):
    """four downloads from a provider without memory: all whole, and small questions beside them are answered"""
    check_downloads_without_memory(stack, 'provider', 0)


@test_of_what_ships
def stopped_readers_without_memory(stack):
    """readers that stopped at a gateway without memory: who reads gets all, the others get all later, or see a reset"""
    check_downloads_without_memory(stack, 'gateway', 4)


@test_of_what_ships
def memory_of_the_gateway(stack):
    """the gateway runs out of memory: who is connected stays, one line says it, service returns with it"""
    check_memory_runs_out(stack, 'gateway')


@test_of_what_ships
def memory_of_the_provider(stack):
    """the provider runs out of memory: who is connected stays, one line says it, service returns with it"""
    check_memory_runs_out(stack, 'provider')


def echoed(connection, seconds=0.05):
    connection.settimeout(seconds)
    try:
        return connection.recv(10) == b'hello'
    except OSError:
        return False


@test
def descriptors_of_the_gateway(stack):
    """the gateway runs out of descriptors: who is connected stays, service returns with them"""
    check_descriptors_run_out(stack, 'gateway')


@test
def descriptors_of_the_provider(stack):
    """the provider runs out of descriptors: who is connected stays, service returns with them"""
    check_descriptors_run_out(stack, 'provider')


if __name__ == '__main__':
    main()
