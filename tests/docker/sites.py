# SPDX-License-Identifier: BSD-3-Clause
"""Machines of the NAT lab with an engine each, and ours on them, in containers and beside these."""
from engine import Engine
from harness import new_secret, start_instance
from images import OURS, load_busybox, load_ours
from nat_lab import Lab
from nat_pairs import start_dht
from scene import LOCKED, services


class Sites:
    """At @names, with a DHT; @network: of containers there, if somebody is to make it."""

    def __init__(self, stack, *names, network='net'):
        self.stack, self.lab, self.secret = stack, Lab(stack), new_secret()
        self.dht = ','.join(start_dht(stack, self.lab))
        self.engine = {}
        for name in names:
            engine = self.engine[name] = Engine(stack, self.lab[name])
            load_busybox(engine)
            load_ours(engine)
            if network:
                engine.ok('network', 'create', network)

    def container(self, name, *words, ours):
        """One of ours there, in the network net."""
        return self.engine[name].started(*LOCKED, '--network', 'net', *words, '-e', f'HYPERGATE_ROUTER={self.secret}', OURS, *ours,
                                         '--bootstrap', self.dht)

    def provider(self, where, name, gate, container, port):
        """Of that container's port: in a container it has its name, on the machine its address."""
        if where == 'container':
            return self.container(name, ours=['--provider', services((gate, container, port))])
        entry = {'gatePort': gate, 'serviceHost': self.engine[name].address(container, 'net'), 'servicePort': port, 'protocol': 'tcp'}
        with self.lab[name].inside():
            return start_instance(self.stack, f'provider-{name}', self.secret,
                                  {'bootstrap': self.dht.split(','), 'provider': {'services': [entry]}})

    def gateway(self, where, name, gate, *words):
        """Its port is open at the address of the machine."""
        if where == 'container':
            return self.container(name, '-p', f'{gate}:{gate}', *words, ours=['--listen', '0.0.0.0', '--gateway'])
        with self.lab[name].inside():
            return start_instance(self.stack, f'gateway-{name}', self.secret,
                                  {'bootstrap': self.dht.split(','), 'gateway': {'listen': '0.0.0.0'}})
