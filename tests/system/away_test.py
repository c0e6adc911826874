# SPDX-License-Identifier: BSD-3-Clause
"""A machine that goes elsewhere or sleeps: whatever is carried may break, and the service is back by itself.

Each instance has a network of its own (a namespace) with one address in a network of private addresses; its DHT lives at the hub."""
import contextlib
import json
import os
import signal
import subprocess
import threading
import time

from harness import (Service, answers, binary, eventually, free_ports, main, new_secret, serve_echo, start_dht, start_instance,
                     test)
from networks import Network, ip, with_networks

HUB = '10.99.0.1'
SLEEP_S = 17            # a node takes 15 s without a turn for sleep


class Hub(Network):
    def __init__(self, stack):
        super().__init__(stack)
        self.sites = 0
        with self.inside():
            ip('link', 'add', 'hub', 'type', 'bridge')
            ip('address', 'add', f'{HUB}/24', 'dev', 'hub')
            ip('link', 'set', 'hub', 'up')


class Site(Network):
    """A machine of its own, on a wire to the hub."""

    def __init__(self, stack, hub):
        super().__init__(stack)
        hub.sites += 1
        with hub.inside():
            wire = f'site{hub.sites}'
            ip('link', 'add', wire, 'type', 'veth', 'peer', 'name', 'wire', 'netns', self.path)
            ip('link', 'set', wire, 'master', 'hub', 'up')
        self.address = None
        self.move(f'10.99.0.{10 * hub.sites}')

    def move(self, address):
        with self.inside():
            if self.address:
                ip('address', 'del', f'{self.address}/24', 'dev', 'wire')
            ip('address', 'add', f'{address}/24', 'dev', 'wire')
            ip('link', 'set', 'wire', 'up')
        self.address = address


class Away:
    """A DHT at the hub, a provider of an echo and a gateway with one gate to it, each at a site."""

    def __init__(self, stack):
        hub = Hub(stack)
        self.theirs, self.ours = Site(stack, hub), Site(stack, hub)
        secret, self.gate = new_secret(), free_ports(1)[0]
        with hub.inside():
            dht = start_dht(stack, 3, HUB)
        with self.theirs.inside():
            echo = Service(stack, serve_echo)
            self.provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [
                {'gatePort': self.gate, 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'tcp'}]}})
        with self.ours.inside():
            self.gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'logLevel': 'info',
                                                                     'gateway': {'listen': '127.0.0.1'}})
        self.back('first')

    def is_served(self):
        with self.ours.inside():
            return answers(self.gate)

    def back(self, what):
        began = time.monotonic()
        eventually(self.is_served, 40, what)
        print(f'# {what}: served after {time.monotonic() - began:.1f} s', flush=True)


def restless(site, stop):
    """An interface of the site that gets and loses an address all the time, as with containers that start and end."""
    with site.inside():
        ip('link', 'add', 'restless', 'type', 'bridge')
        ip('link', 'set', 'restless', 'up')
        while not stop.wait(0.2):
            ip('address', 'add', '10.99.1.1/24', 'dev', 'restless')
            ip('address', 'del', '10.99.1.1/24', 'dev', 'restless')
        ip('link', 'del', 'restless')


@test
def other_addresses(stack):
    """the gateway's machine gets another address, then both do: served again each time"""
    away, stop = Away(stack), threading.Event()
    other = threading.Thread(target=restless, args=(away.ours, stop))
    other.start()
    away.ours.move('10.99.0.121')
    away.gateway.says('this machine has other addresses now (10.99.0.121', 5)
    stop.set()
    other.join()
    away.back('gateway moved')
    away.ours.move('10.99.0.122')
    away.theirs.move('10.99.0.112')
    away.back('both moved')


@test
def sleep(stack):
    """provider and gateway sleep, one after the other begins: served again, by the same processes"""
    away = Away(stack)
    processes = away.provider.settled() + away.gateway.settled()
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(SLEEP_S)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    away.back('both slept')
    time.sleep(1)
    assert away.provider.tree() + away.gateway.tree() == processes, 'a worker was replaced'


@test
def without_ipv4(stack):
    """a machine with IPv6 alone is told that this reaches nobody, and which address it shall listen at and lacks, until that comes"""
    place = Network(stack)
    with place.inside():
        ip('link', 'add', 'card', 'type', 'bridge')
        ip('link', 'set', 'card', 'up')
        with contextlib.suppress(AssertionError):       # a kernel without IPv6
            ip('address', 'add', 'fd00::1/64', 'dev', 'card', 'nodad')
        one = start_instance(stack, 'lonely', new_secret(), {'bootstrap': ['10.98.0.2:49737'],
                                                             'gateway': {'listen': ['127.0.0.1', '10.98.0.1']}})
        one.says('this machine has no IPv4 address but loopback')
        one.says('listen: 10.98.0.1: this machine has no such address now')
        assert 'listen: 127.0.0.1' not in one.log()
        done = subprocess.run([binary(), 'doctor', '--json', '--bootstrap', '10.98.0.2:49737'], capture_output=True, text=True, timeout=60)
        itself = [json.loads(line) for line in done.stdout.splitlines() if '"self"' in line]
        assert done.returncode == 1 and not itself[0]['ipv4'] and 'no IPv4 address' in done.stderr, done
        ip('address', 'add', '10.98.0.1/24', 'dev', 'card')
    one.says('this machine has other addresses now (10.98.0.1')


if __name__ == '__main__':
    with_networks()
    main()
