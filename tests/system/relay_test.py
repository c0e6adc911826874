# SPDX-License-Identifier: BSD-3-Clause
"""A provider and a gateway behind NATs that give each remote another port, and who relays for them."""
import os
import signal
import time

from harness import MB, connect, eventually, how_it_ends, main, new_secret, serve_echo, start_instance, test
from nat_lab import Lab
from nat_pairs import BULK_DIGEST, NatPair, start_dht
from networks import with_networks


class Scene:
    def __init__(self, stack, hosts=('sym1', 'sym2'), **pair):
        self.stack, self.lab, self.secret = stack, Lab(stack), new_secret()
        self.dht = start_dht(stack, self.lab)
        time.sleep(1)
        self.pair = lambda: NatPair(stack, self.lab, self.dht, *(('ours', host) for host in hosts), secret=self.secret, **pair)

    def third(self, host, **config):
        """Another one of the router, where strangers reach it."""
        with self.lab[host].inside():
            one = start_instance(self.stack, host, self.secret, {'bootstrap': self.dht, **config})
            one.says('announced on the DHT' if 'gateway' in config else 'relays for peers of the router')
        return one


def kill(instance):
    """Without a word to anybody."""
    for pid in instance.tree():
        os.kill(pid, signal.SIGKILL)


@test
def unasked(stack):
    """they meet through a gateway of the router that strangers reach, without any configuration; 20 MB come whole"""
    scene = Scene(stack)
    scene.third('pub1', gateway={'listen': '127.0.0.1'})
    pair = scene.pair()
    opened = pair.open(20)
    pair.gateway.says('path relay')
    digest, took = pair.fetch()
    assert digest == BULK_DIGEST, 'other bytes came'
    print(f'# open after {opened:.1f} s, {20 / took:.0f} MB/s', flush=True)


@test
def left(stack):
    """where one NAT keeps its port they begin over the relay and leave it while they carry bytes, of which none is lost"""
    scene = Scene(stack, hosts=('natA1', 'sym1'))
    scene.third('pub1', relay=True)
    pair = scene.pair()
    pair.open(20)
    pair.gateway.says('path relay')
    relay, carried = scene.lab['pub1'], []
    while not carried or carried[-1] > MB:
        before = relay.received()
        assert pair.fetch()[0] == BULK_DIGEST, 'other bytes came'
        carried.append(relay.received() - before)
        assert len(carried) < 60, 'still over the relay'
    print(f'# {len(carried) - 1} times 20 MB until the relay was left', flush=True)
    assert carried[0] > MB, f'{carried[0]} bytes went over the relay'


@test
def killed(stack):
    """a relay that is killed breaks what it carried within ten seconds, and another one of the router carries what comes next"""
    scene = Scene(stack, serve=serve_echo)
    first = scene.third('pub1', relay=True)
    pair = scene.pair()
    pair.open(20)
    assert pair.answers()
    scene.third('pub2', relay=True)
    time.sleep(3)
    with pair.here.inside():
        carried = connect(pair.gate)
    carried.sendall(b'x')
    assert carried.recv(1) == b'x'
    began = time.monotonic()
    kill(first)
    assert how_it_ends(carried) == 'reset'
    broke = time.monotonic() - began
    eventually(pair.answers, 20, 'the echo, over the other relay')
    print(f'# broken after {broke:.1f} s, served again after {time.monotonic() - began:.1f} s', flush=True)
    assert broke < 10


if __name__ == '__main__':
    with_networks()
    main()
