# SPDX-License-Identifier: BSD-3-Clause
"""Storms of strangers who know how to knock: handshakes that are valid in every byte, and sources that are forged.

STRANGERS names the program that floods, KNOCKS the one that makes handshakes (beside it, if unset)."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from away_test import HUB, Hub, Site
from harness import (Pair, Service, answers, eventually, free_ports, main, memory_factor, memory_kib, new_secret, sanitized, serve_echo,
                     start_dht, start_instance, test, udp_ports)
from hostile_test import SEED, Steady, bootstrap_nodes, echoes, hostile_seeds
from networks import ip, with_networks

UNKNOWN, OPEN, ROUND = 0, 1, 'round'    # what a client says of its firewall; or a round of a punch
HEADERS = 28            # bytes, of IP and UDP
GROWTH_KIB = 8192       # the 65,536 hosts and networks a limit knows have 4.5 MiB, the sessions under way another
LINES = 10
EACH_US = 40            # 2 to 12 were measured; each handshake computed would be above


def computed(seconds):
    """Handshakes of strangers that may be computed in that time: worker/swarm/peer/peer_guard.c."""
    return 100 + 50 * (seconds + 1)


def knocks(count, state, firewall=UNKNOWN):
    """So many handshakes to the provider with that state directory, or rounds, one a line."""
    program = os.environ.get('KNOCKS') or os.path.join(os.path.dirname(os.environ['STRANGERS']), 'knocks')
    with open(os.path.join(state, 'provider.provider.seed'), 'rb') as seed:
        return subprocess.run([program, str(count), str(firewall)], stdin=seed, check=True, capture_output=True, text=True).stdout


class Storm:
    """Strangers that send @seeds as they are (or @changed), until .over(), which tells: datagrams, bytes, answers, bytes."""

    def __init__(self, seeds, per_second, targets, forged=False, changed=False):
        how = ['as-they-are'] * (not changed) + ['forged'] * forged
        self.process = subprocess.Popen([os.environ['STRANGERS'], *how, str(SEED), '60',
                                         str(per_second), *targets], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(seeds)
        self.process.stdin.close()
        self.began = time.monotonic()

    def over(self, seconds):
        """After that long at least."""
        time.sleep(max(0, self.began + seconds - time.monotonic()))
        assert self.process.poll() is None, 'the storm was over first'
        self.process.terminate()
        said = self.process.stdout.read()
        assert self.process.wait(10) == 0
        self.took = time.monotonic() - self.began
        return tuple(map(int, said.split()))


def cpu_us(pids):
    """What they have used of a processor so far."""
    total = 0
    for pid in pids:
        with open(f'/proc/{pid}/schedstat') as file:
            total += int(file.read().split()[0]) // 1000
    return total


def state_directory(stack):
    path = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, path)
    return path


class KnownPair(Pair):
    """A pair whose provider's key is known."""

    def start_provider(self, under=()):
        self.state = state_directory(self.stack)
        return start_instance(self.stack, 'provider', self.secret, {'bootstrap': [self.dht], 'stateDirectory': self.state,
                                                                   'provider': {'services': self.entries()}}, under)


class Watched:
    """What storms may not change in an instance: what it holds, says and consists of."""

    def __init__(self, instance):
        self.instance, self.tree, self.swarm = instance, instance.settled(), instance.workers('swarm')
        self.held, self.lines, self.used_us = memory_kib(instance), len(instance.log().splitlines()), cpu_us(self.swarm)

    def took_us(self):
        """Of its swarm worker, since it was watched or asked last."""
        before, self.used_us = self.used_us, cpu_us(self.swarm)
        return self.used_us - before

    def check(self):
        name, grown = self.instance.name, memory_kib(self.instance) - self.held
        said = self.instance.log().splitlines()[self.lines:]
        print(f'# {name}: {self.held} KiB, grown by {grown}')
        assert grown < GROWTH_KIB * memory_factor(), f'{name} grew by {grown} KiB'
        assert len(said) <= LINES, f'{name} says what strangers make it say: {said[:20]}'
        assert self.instance.tree() == self.tree, f'{name}: a process died'


def check_over(what, storm, watched):
    """Ends a storm, which may have been neither dear for the instance nor of use to anybody; returns the answers."""
    sent, sent_bytes, count, count_bytes = storm.over(2)
    each = watched.took_us() / sent
    print(f'# {what}: {sent} datagrams, {sent_bytes} bytes; {count} answers, {count_bytes} bytes; {each:.1f} us each', flush=True)
    assert sent > 5000, 'no storm'
    assert each < EACH_US * (4 if sanitized() else 1), f'{what}: {each:.1f} us of the swarm worker for each'
    assert count_bytes < sent_bytes, f'{what}: strangers get more than they send'
    return count


def served(address):
    eventually(lambda: echoes(address), 20, f'service at {address}')


@test
def handshake_storm(stack):
    """ten thousand valid handshakes a second, and the same few again and again: nothing grows, who is connected stays, others come"""
    pair = KnownPair(stack, echo=serve_echo)
    eventually(lambda: answers(pair.gate['echo']), 20, 'service')
    targets, fresh = udp_ports(pair.provider), knocks(4000, pair.state)
    steady, watched = Steady(('127.0.0.1', pair.gate['echo']), SEED), Watched(pair.provider)
    storm = Storm(fresh, 10000, targets)
    beside = start_instance(stack, 'gateway beside', pair.secret, {'bootstrap': [pair.dht], 'gateway': {'listen': '127.0.0.2'}})
    served(('127.0.0.2', pair.gate['echo']))
    count = check_over('handshakes', storm, watched)
    rounds = 1 + storm.took * 10000 / 4000      # one that was computed is answered again when it comes round
    assert 0 < count < rounds * computed(storm.took), f'{count} answers'
    check_over('fifty of them', Storm(''.join(fresh.splitlines(True)[:50]), 10000, targets), watched)
    steady.check_whole('the storms')
    steady.stop()
    watched.check()
    assert beside.stop() == 0


class Country:
    """A DHT at a hub, a provider and a gateway at sites of their own, and a site to which everything goes that is for nobody."""

    def __init__(self, stack):
        self.stack, self.hub = stack, Hub(stack)
        self.theirs, self.ours, self.others, self.nobody = (Site(stack, self.hub) for _ in range(4))
        for place in (self.hub, self.theirs, self.ours, self.others):
            with place.inside():
                ip('route', 'add', 'default', 'via', self.nobody.address)
        self.secret, self.gate, self.state = new_secret(), free_ports(1)[0], state_directory(stack)
        with self.hub.inside():
            self.dht = start_dht(stack, 3, HUB)
        with self.theirs.inside():
            echo = Service(stack, serve_echo)
            self.provider = start_instance(stack, 'provider', self.secret, {
                'bootstrap': [self.dht], 'stateDirectory': self.state, 'provider': {'services': [
                    {'gatePort': self.gate, 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'tcp'}]}})
        self.gateway = self.start_gateway('gateway', self.ours)

    def start_gateway(self, name, site):
        with site.inside():
            gateway = start_instance(self.stack, name, self.secret, {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1'}})
            served(('127.0.0.1', self.gate))
        return gateway

    def targets(self):
        places = [(self.provider, self.theirs.address), (self.gateway, self.ours.address)]
        places += [(node, HUB) for node in bootstrap_nodes()]
        return [f'{address}:{port}' for instance, address in places for port in udp_ports(instance)]

    def storm(self, seeds, per_second, targets):
        with self.nobody.inside():
            return Storm(seeds, per_second, targets, forged=True)


@test
def forged_sources(stack):
    """datagrams that each come from another address: nothing is kept of them, their owners get little, who is connected stays, others come"""
    country = Country(stack)
    with country.ours.inside():
        steady = Steady(('127.0.0.1', country.gate), SEED)
    watched = [Watched(instance) for instance in (country.provider, country.gateway, *bootstrap_nodes())]
    provider, theirs = watched[0], country.targets()[:1]
    called = knocks(2000, country.state, OPEN)

    one_each = country.storm(''.join(called.splitlines(True)[:50]), 1, theirs)
    sent, sent_bytes, count, count_bytes = one_each.over(6)
    print(f'# {sent} that want to be called, {sent_bytes} bytes: {count_bytes} bytes')
    assert 0 < count_bytes + HEADERS * count < 3 * (sent_bytes + HEADERS * sent), 'an address that was forged gets more than it may'
    provider.took_us()

    check_over('handshakes', country.storm(called + knocks(2000, country.state), 20000, theirs), provider)
    check_over('rounds', country.storm(knocks(2000, country.state, ROUND) + knocks(200, country.state), 20000, theirs), provider)
    everything = country.storm(hostile_seeds(), 20000, country.targets())
    other = country.start_gateway('other gateway', country.others)
    check_over('everything', everything, provider)
    carried = country.storm(knocks(4000, country.state), 10000, country.targets()[-len(bootstrap_nodes()):])
    os.kill(other.workers('swarm')[0], signal.SIGKILL)
    with country.others.inside():
        served(('127.0.0.1', country.gate))     # who was here before comes back, past all that the relays bring
    check_over('handshakes through relays', carried, provider)
    steady.check_whole('the storms')
    steady.stop()
    for one in watched:
        one.check()
    assert other.stop() == 0


if __name__ == '__main__':
    with_networks()
    main()
