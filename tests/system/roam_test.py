# SPDX-License-Identifier: BSD-3-Clause
"""Machines and routers of the NAT lab whose addresses change, that forget, or fall silent, under a provider and a gateway.

What was being carried goes on, or breaks so that both ends see it; no byte of it is wrong. And whoever connects anew is served
within seconds of when the network is usable again."""
import threading
import time

from harness import answers, connect, eventually, main, serve_echo, test
from nat_lab import Lab
from nat_pairs import NatPair, start_dht
from networks import with_networks

SEEN_S = 40             # a dead path counts as one after some 15 s of silence
OUTAGE_S = 30


class Talk:
    """A connection through a gate that never rests: what it sends has to come back, in order."""

    def __init__(self, stack, pair):
        self.count, self.how, self.over = 0, None, threading.Event()
        with pair.here.inside():
            self.connection = connect(pair.gate, SEEN_S)
        threading.Thread(target=self.run, daemon=True).start()
        stack.callback(self.over.set)

    def run(self):
        try:
            with self.connection:
                while not self.over.wait(0.05):
                    block = b'%15d\n' % self.count * 64
                    self.connection.sendall(block)
                    got = b''
                    while len(got) < len(block):
                        more = self.connection.recv(len(block) - len(got))
                        if not more:
                            self.how = 'ended'
                            return
                        got += more
                    if got != block:
                        self.how = 'wrong'
                        return
                    self.count += 1
        except ConnectionResetError:
            self.how = 'reset'
        except OSError as error:
            self.how = str(error)


class Roaming:
    def __init__(self, stack, lab, dht, what, provider, gateway):
        self.stack, self.what = stack, what
        self.pair = NatPair(stack, lab, dht, ('ours', provider), ('ours', gateway), serve_echo)
        self.talk = None

    def ready(self):
        self.pair.open(40)
        eventually(self.pair.answers, 10, f'{self.what}: the first answer')
        for side in self.pair.provider, self.pair.gateway:
            side.says('announced on the DHT')
        self.talk = Talk(self.stack, self.pair)
        eventually(lambda: self.talk.count > 3, 10, f'{self.what}: a connection')

    def served(self, seconds):
        """How long it takes from now until a new connection is served; one is tried every quarter of a second."""
        began, done, first = time.monotonic(), threading.Event(), []

        def client():
            with self.pair.here.inside():
                if answers(self.pair.gate):
                    first.append(time.monotonic() - began)
                    done.set()
        while not done.wait(0.25) and time.monotonic() - began < seconds:
            threading.Thread(target=client, daemon=True).start()
        assert first, f'{self.what}: no new connection after {seconds} s'
        return min(first)

    def after(self):
        """The network is usable again."""
        count, began = self.talk.count, time.monotonic()
        took = self.served(SEEN_S)
        eventually(lambda: self.talk.how or self.talk.count > count + 1, SEEN_S, f'{self.what}: the old connection goes on or ends')
        how = self.talk.how or 'goes on'
        print(f'# {self.what}: a new connection after {took:.1f} s; the old one {how} after {time.monotonic() - began:.1f} s', flush=True)
        assert how in ('goes on', 'reset'), f'{self.what}: the old connection: {how}'
        return took


def all_of(stack, *stories):
    """@stories: (what, provider, gateway, event, seconds promised); the events come all at once, each with a pair of its own."""
    lab = Lab(stack)
    dht = start_dht(stack, lab)
    roaming = [Roaming(stack, lab, dht, *story[:3]) for story in stories]
    for one in roaming:
        one.ready()
    wrong = []

    def run(one, event, promised):
        try:
            event(lab)
            took = one.after()
            assert took < promised, f'{one.what}: the first new connection after {took:.1f} s'
        except Exception as error:
            wrong.append(f'{one.what}: {error!r}')
    threads = [threading.Thread(target=run, args=(one, *story[3:])) for one, story in zip(roaming, stories)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, '\n'.join(wrong)


def another_address(host, old, new):
    def event(lab):
        lab[host].ip(f'address del {old}/24 dev eth0', f'address add {new}/24 dev eth0', f'route add default via {new.rsplit(".", 1)[0]}.1')
    return event


def reboot(router, wan=None):
    return lambda lab: lab.routers[router].reboot(wan)


def outage(router):
    def event(lab):
        lab.routers[router].silence()
        time.sleep(OUTAGE_S)
        lab.routers[router].silence(False)
    return event


# Seconds promised until a new connection is served, on a busy machine; on any other it is less than 3. Who moved himself sees it within a
# second, from outside, as one of his relays is asked each second; a way in that only the other one can open opens with his next
# keep-alive, after 1.5 s or 1.75.
STORIES = (
    ("the gateway's machine gets another address in its LAN", 'fw1', 'natA1', another_address('natA1', '10.1.0.11', '10.1.0.77'), 4),
    ("the provider's machine gets another address in its LAN", 'cone1', 'pub1', another_address('cone1', '10.7.0.11', '10.7.0.77'), 5),
    ("the gateway's router forgets all mappings", 'pub2', 'natB1', reboot('B'), 4),
    ("the provider's router forgets all mappings", 'cgn1', 'fw2', reboot('C1'), 5),
    ("the gateway's router forgets, and maps to other ports", 'fw1', 'sym1', reboot('S1'), 4),
    ("the gateway's router gets another address", 'fw2', 'cone2', reboot('F2', '203.0.113.209'), 4),
    ("the provider's router gets another address", 'cgs1', 'pub2', reboot('D', '203.0.113.206'), 5),
    ('half a minute of silence at the gateway', 'pub1', 'sym2', outage('S2'), 4),
    ('half a minute of silence at the provider', 'cgn2', 'fw1', outage('C2'), 5),
)


@test
def roaming(stack):
    """addresses change, routers forget, half a minute of silence: what was carried goes on or is reset, and who comes next is served"""
    all_of(stack, *STORIES)


if __name__ == '__main__':
    with_networks()
    main()
