# SPDX-License-Identifier: BSD-3-Clause
"""A machine with an engine, and on it a provider that finds what its containers offer and a gateway: both ours, and no containers."""
import json
import os
import subprocess
import tempfile

import images
from engine import Engine
from harness import binary, connect, eventually, new_secret, read_all, start_dht, start_instance
from networks import Network


class Discovery:
    """@services: of the provider's configuration; @docker: more of its docker; @conf: of the engine, which is one of @kind."""

    def __init__(self, stack, services=(), docker=None, conf=None, kind=Engine):
        self.stack, self.network = stack, Network(stack)
        self.network.ip('link add card type bridge', 'address add 10.96.0.1/24 dev card', 'link set card up')
        self.engine = kind(stack, self.network, conf=conf)
        images.load_busybox(self.engine)
        with self.network.inside():
            self.secret, self.dht = new_secret(), start_dht(stack, 1)
        self.provider = self.finder('provider', services, **{'network': 'net', **(docker or {})})
        with self.network.inside():
            self.gateway = start_instance(stack, 'gateway', self.secret, {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1'}})
        self.provider.says('Docker network net: made')

    def finder(self, name, services=(), **docker):
        with self.network.inside():
            return start_instance(self.stack, name, self.secret, {'bootstrap': [self.dht], 'provider': {'services': list(services)},
                                                                  'docker': {'socket': self.engine.socket, **docker}})

    def told(self, instance, what):
        done = subprocess.run([binary(), what, '--json', instance.name], capture_output=True, text=True, timeout=60,
                              env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
        return [json.loads(line) for line in done.stdout.splitlines()]

    def services(self):
        """{(host, inside, outside, protocol, tags)} of what was found, without its addresses."""
        return {(one['alias'], one['servicePort'], one['gatePort'], one['protocol'], one['tags'])
                for one in self.told(self.provider, 'services') if 'alias' in one}

    def addresses(self):
        """{host: address}"""
        return {one['alias']: one['serviceHost'] for one in self.told(self.provider, 'services') if 'alias' in one}

    def routes(self):
        """{(gate port, protocol): how many services} at the gateway."""
        return {(one['gatePort'], one['protocol']): one['services'] for one in self.told(self.gateway, 'routes')}

    def page(self, gate):
        """What comes through it, '' while nothing does."""
        try:
            with self.network.inside():
                connection = connect(gate, 2)
            with connection:
                connection.sendall(b'GET / HTTP/1.0\r\n\r\n')
                return read_all(connection).decode(errors='replace')
        except OSError:
            return ''

    def served(self, gate, seconds=30):
        eventually(lambda: images.PAGE in self.page(gate), seconds, f'the page at gate {gate}')

    def withdrawn(self, gate, seconds=30):
        eventually(lambda: (gate, 'tcp') not in self.routes(), seconds, f'no route behind gate {gate}')


def load_ports(engine):
    """test/ports, whose image says 80/tcp, 443/tcp and 53/udp."""
    with tempfile.TemporaryDirectory(prefix='hypergate-image.', dir='/var/tmp') as folder:
        images.busybox_tree(folder)
        engine.imported('test/ports', folder, 'EXPOSE 80/tcp 443/tcp 53/udp')
