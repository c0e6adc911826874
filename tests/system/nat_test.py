# SPDX-License-Identifier: BSD-3-Clause
"""Providers and gateways behind the NATs of the lab (nat_lab.py): whoever can meet, meets, and no byte goes through the DHT."""
import json
import os
import shutil
import subprocess
import tempfile
import time

from harness import MB, binary, eventually, main, serve_echo, test
from nat_lab import Lab
from nat_pairs import BULK_DIGEST, NatPair, start_dht
from networks import with_networks


def meet(stack, pairs, seconds=40):
    """Starts all @pairs ((whose, host), (whose, host)) at once and takes 20 MB through each."""
    lab = Lab(stack)
    dht = start_dht(stack, lab)
    before = lab.dht_bytes()
    started = [NatPair(stack, lab, dht, provider, gateway) for provider, gateway in pairs]
    for pair in started:
        opened = pair.open(seconds)
        digest, took = pair.fetch()
        assert digest == BULK_DIGEST, f'{pair.name}: other bytes came'
        print(f'# {pair.name}: open after {opened:.1f} s, {20 / took:.0f} MB/s', flush=True)
    relayed = lab.dht_bytes() - before
    assert relayed < MB, f'{relayed} bytes went to the nodes of the DHT'
    print(f'# {relayed // len(pairs) >> 10} KiB a pair went to the nodes of the DHT', flush=True)


@test
def routers(stack):
    """each host's NAT does what its name says, before anything is asked of anybody"""
    Lab(stack).check()


@test
def ours(stack):
    """ours with ours: open, firewalled, behind routers that keep ports and that don't, at home and at the carrier's"""
    meet(stack, [(('ours', provider), ('ours', gateway)) for provider, gateway in (
        ('pub1', 'pub2'), ('fw1', 'fw2'), ('natA1', 'natB1'), ('natA1', 'natA2'), ('natB1', 'sym1'), ('sym1', 'natB1'), ('cgn1', 'natA1'),
        ('sym1', 'pub1'), ('pub2', 'cgs1'), ('cone1', 'sym2'))])


@test
def doctor(stack):
    """doctor: what kind of NAT a host is behind, and whether the router leads back in, where that can be told"""
    lab = Lab(stack, delay_ms=20)       # what is asked early arrives before strangers try to reach us
    dht = start_dht(stack, lab)
    wanted = {'pub1': ('open', None), 'fw1': ('consistent', None), 'natA1': ('consistent', False), 'sym1': ('random', None)}
    asked = {}
    for host in [*wanted, 'loop1']:
        alone = tempfile.mkdtemp(prefix='hypergate-test-')      # where no other instance runs that would be asked, too
        stack.callback(shutil.rmtree, alone)
        with lab[host].inside():
            asked[host] = subprocess.Popen([binary(), 'doctor', *(['--json'] if host in wanted else []), '--bootstrap', ','.join(dht)],
                                           stdout=subprocess.PIPE, text=True, env={**os.environ, 'RUNTIME_DIRECTORY': alone})
            stack.callback(asked[host].kill)
    said = {host: one.communicate(timeout=60)[0] for host, one in asked.items()}
    lines = {host: [json.loads(line) for line in said[host].splitlines()] for host in wanted}
    found = {host: next((one['nat'], one['loopsBack']) for one in lines[host] if one['type'] == 'self') for host in wanted}
    assert found == wanted, found
    assert '\nloopback   the router leads back in' in said['loop1'], said['loop1']


@test
def distances(stack):
    """a lab with distances has them, and its NATs are what they were; a provider and a gateway meet over lines that lose datagrams"""
    lab = Lab(stack, delay_ms=50)
    lab.check()
    for host in 'pub1', 'natA1', 'cgn1':
        there, here = lab['pub2'].udp(), lab[host].udp()
        began = time.monotonic()
        here.sendto(b'there', (lab['pub2'].address, there.getsockname()[1]))
        there.sendto(b'and back', there.recvfrom(100)[1])
        assert here.recv(100) == b'and back'
        assert time.monotonic() - began >= 0.1, f'{host}: there and back took {time.monotonic() - began:.3f} s'
    there, here = lab['pub2'].udp(), lab['pub1'].udp()
    lab.wan.set(0, 0.5, 'pub2')
    for _ in range(200):
        there.sendto(b'perhaps', (lab['pub1'].address, here.getsockname()[1]))
    lab.wan.set(20, 0)
    there.sendto(b'surely', (lab['pub1'].address, here.getsockname()[1]))
    came = len(list(iter(lambda: here.recv(100), b'surely')))
    assert 0 < came < 200, f'{came} of 200 datagrams came over a line that loses half of them'
    lab.wan.set(20, 0.02)
    pair = NatPair(stack, lab, start_dht(stack, lab), ('ours', 'natA1'), ('ours', 'natB1'), serve_echo)
    print(f'# open after {pair.open(40):.1f} s', flush=True)
    eventually(pair.answers, 20, 'the echo')


@test
def originals(stack):
    """ours with originals: each role, behind routers of the two kinds"""
    meet(stack, [(('ours', 'natA1'), ('npm', 'natB1')), (('npm', 'natB1'), ('ours', 'cgn1')),
                 (('ours', 'pub1'), ('npm', 'sym1')), (('npm', 'sym2'), ('ours', 'pub2'))])


if __name__ == '__main__':
    with_networks()
    main()
