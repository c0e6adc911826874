# SPDX-License-Identifier: BSD-3-Clause
"""A provider and a gateway behind NATs that give each remote another port, and who relays for them; and what is heard between any two."""
import os
import random
import re
import socket
import threading
import time

from harness import MB, Process, Service, connect, eventually, how_it_ends, main, new_secret, serve_echo, start_instance, talk, test
from nat_lab import Lab
from nat_pairs import BULK, BULK_DIGEST, NatPair, start_dht, start_their_relay
from networks import with_networks
from udp_scene import Echo, ask


class Scene:
    def __init__(self, stack, hosts=('sym1', 'sym2'), whose='ours', **pair):
        self.stack, self.lab, self.secret = stack, Lab(stack), new_secret()
        self.dht = start_dht(stack, self.lab)
        self.pair = lambda **more: NatPair(stack, self.lab, self.dht, *((whose, host) for host in hosts), secret=self.secret,
                                           **pair, **more)

    def third(self, host, **config):
        """Another one of the router, where strangers reach it."""
        with self.lab[host].inside():
            one = start_instance(self.stack, host, self.secret, {'bootstrap': self.dht, **config})
            one.says('announced on the DHT' if 'gateway' in config else 'relays for peers of the router')
        return one


class Eavesdropper:
    """All that comes to a machine and leaves it, at @interface or at any, until so much of it has been heard, or @last."""
    ENOUGH = 2 * MB

    def __init__(self, stack, machine, interface=None, last=None):
        self.last = last
        with machine.inside():
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            if interface:
                self.wire.bind((interface, 3))
        stack.callback(self.wire.close)
        self.wire.settimeout(20)
        self.heard = bytearray()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while len(self.heard) < self.ENOUGH and not (self.last and self.last in self.heard):
            self.heard += self.wire.recv(1 << 16)

    def all(self):
        self.thread.join(30)
        return bytes(self.heard)


@test
def unasked(stack):
    """they meet through a gateway of the router that strangers reach, without any configuration; 20 MB come whole, and it can read none of them"""
    scene = Scene(stack)
    scene.third('pub1', gateway={'listen': '127.0.0.1'})
    pair = scene.pair()
    opened = pair.open(20)
    pair.gateway.says('path relay')
    spy, clear = Eavesdropper(stack, scene.lab['pub1']), BULK[-100:]
    with pair.here.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(clear, (scene.lab['pub1'].address, 9))
    digest, took = pair.fetch()
    assert digest == BULK_DIGEST, 'other bytes came'
    heard = spy.all()
    assert len(heard) >= spy.ENOUGH and clear in heard, f'{len(heard)} bytes were overheard'
    assert not [at for at in range(0, MB, 1 << 10) if BULK[at:at + 16] in heard], 'the relay sees what it carries'
    print(f'# open after {opened:.1f} s, {20 / took:.0f} MB/s', flush=True)


@test
def s02_plain_nowhere_between(stack):
    """what a client says and a service answers, by TCP and UDP, is plain on either machine, and in no packet from the one to the other"""
    lab, secret = Lab(stack), new_secret()
    dht, there, here = start_dht(stack, lab), lab['pub1'], lab['pub2']
    said, last = random.randbytes(64), random.randbytes(64)
    with there.inside():
        services = [('tcp', Service(stack, serve_echo).port), ('udp', Echo(stack).port)]
    spies = {(machine.name, interface): Eavesdropper(stack, machine, interface, last)
             for machine in (there, here) for interface in ('lo', 'eth0')}
    with there.inside():
        entries = [{'gatePort': 8000, 'serviceHost': '127.0.0.1', 'servicePort': port, 'protocol': protocol} for protocol, port in services]
        start_instance(stack, 'provider', secret, {'bootstrap': dht, 'provider': {'services': entries}})
    with here.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        start_instance(stack, 'gateway', secret, {'bootstrap': dht, 'gateway': {'listen': '127.0.0.1'}})
        client.settimeout(0.5)
        client.connect(('127.0.0.1', 8000))
        eventually(lambda: ask(client, said) == said, 20, 'the UDP service')
        assert ask(client, said * 100) == said * 100, 'one that is sent in the stream'
        for times in 1, 1, 500:
            assert talk(8000, said * times) == said * times, 'the TCP service'
    for machine, other in (there, here), (here, there):
        with machine.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(last, ('127.0.0.1', 9))
            sender.sendto(last, (other.address, 9))
    for (machine, interface), spy in spies.items():
        heard = spy.all()
        assert last in heard, f'{interface} of {machine}: {len(heard)} bytes were overheard, and not what is plain there'
        plain = [at for at in range(0, len(said), 16) if said[at:at + 16] in heard]
        if interface == 'lo':
            assert len(plain) == 4, f'{machine}: it did not go this way'
        else:
            words = [word for word in (b'gatePort', secret.encode(), bytes.fromhex(secret)) if word in heard]
            assert len(heard) > 2 * 500 * len(said), f'{machine}: it did not go this way'
            assert not plain and not words, f'{machine}: bytes {plain} of what was said, and {words}, can be read on the way'


class Apart:
    """Nothing passes between the routers of @hosts until .end(): whoever starts meanwhile begins over a relay."""

    def __init__(self, scene, *sites):
        self.routers = [scene.lab.routers[site] for site in sites]
        for one, other in self.routers, self.routers[::-1]:
            one.silence(source=other.wan)

    def end(self):
        for one in self.routers:
            one.silence(False)


def fetch_until_left(scene, pair, apart):
    """Takes the bulk over the relay at the host pub1, then again and again, each time whole, until that has no part in it."""
    relay = scene.lab['pub1']

    def carried():
        before = relay.received()
        assert pair.fetch()[0] == BULK_DIGEST, 'other bytes came'
        return relay.received() - before
    assert carried() > MB, 'it went elsewhere'
    apart.end()
    times = 1
    while carried() > MB:
        times += 1
        assert times < 60, 'still over the relay'
    print(f'# {times} times 20 MB until the relay was left', flush=True)


def ours_leave(scene, pair, apart):
    pair.open(20)
    pair.gateway.says('path relay')
    fetch_until_left(scene, pair, apart)
    for one in pair.gateway, pair.provider:
        one.says('has left the relay for a direct way to ')


@test
def left(stack):
    """where one NAT keeps its port they begin over the relay and leave it while they carry bytes, of which none is lost"""
    scene = Scene(stack, hosts=('natA1', 'sym1'))
    scene.third('pub1', relay=True)
    apart = Apart(scene, 'A', 'S1')
    pair = scene.pair()
    ours_leave(scene, pair, apart)


@test
def left_by_originals(stack):
    """two originals do the same with our relay, which serves strangers"""
    scene = Scene(stack, hosts=('natA1', 'sym1'), whose='npm')
    with scene.lab['pub1'].inside():
        relay = Process(stack, 'relay', ['relay', '--open', '--listen', f'{scene.lab["pub1"].address}:49737', '--bootstrap',
                                         ','.join(scene.dht), '--user', os.environ['HYPERGATE_USER']])
    key = re.search('key ([0-9a-f]{64})', relay.says('relays for ')[0]).group(1)
    apart = Apart(scene, 'A', 'S1')
    pair = scene.pair(relay=key)
    pair.open(40)
    fetch_until_left(scene, pair, apart)


@test
def left_theirs(stack):
    """ours do the same with the original's relay, whose streams end with the pair"""
    scene = Scene(stack, hosts=('natA1', 'sym1'))
    _, key = start_their_relay(stack, scene.lab['pub1'], scene.dht)
    apart = Apart(scene, 'A', 'S1')
    pair = scene.pair(relay=key, ahead_s=3)        # and the gateway knows by then what its NAT is like
    ours_leave(scene, pair, apart)


@test
def killed_theirs(stack):
    """the original's relay, killed, breaks what it carried sooner than a path that dies would"""
    scene = Scene(stack, serve=serve_echo)
    relay, key = start_their_relay(stack, scene.lab['pub1'], scene.dht)
    pair = scene.pair(relay=key)
    pair.open(20)
    with pair.here.inside():
        carried = connect(pair.gate)
    carried.sendall(b'x')
    assert carried.recv(1) == b'x'
    pair.gateway.says('path relay')
    began = time.monotonic()
    relay.kill()
    assert how_it_ends(carried) == 'reset'
    print(f'# broken after {time.monotonic() - began:.1f} s', flush=True)
    assert time.monotonic() - began < 12


@test
def killed(stack):
    """a relay that is killed breaks what it carried within ten seconds, and another one of the router carries what comes next"""
    scene = Scene(stack, serve=serve_echo)
    first = scene.third('pub1', relay=True)
    pair = scene.pair()
    pair.open(20)
    assert pair.answers()
    scene.third('pub2', relay=True)
    for one in pair.provider, pair.gateway:
        one.says(f' {scene.lab["pub2"].address}:')      # it is a peer of theirs
    with pair.here.inside():
        carried = connect(pair.gate)
    carried.sendall(b'x')
    assert carried.recv(1) == b'x'
    began = time.monotonic()
    first.kill()
    assert how_it_ends(carried) == 'reset'
    broke = time.monotonic() - began
    eventually(pair.answers, 20, 'the echo, over the other relay')
    print(f'# broken after {broke:.1f} s, served again after {time.monotonic() - began:.1f} s', flush=True)
    assert broke < 10


if __name__ == '__main__':
    with_networks()
    main()
