# SPDX-License-Identifier: BSD-3-Clause
"""A UDP echo behind a provider, a gateway before it, and clients."""
import socket
import threading

from harness import Service, answers, eventually, free_ports, new_secret, serve_echo, start_dht, start_instance


def udp_socket(host):
    return socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM)


def has(host):
    """Whether this machine has that address: some have no IPv6."""
    try:
        with udp_socket(host) as probe:
            probe.bind((host, 0))
        return True
    except OSError:
        return False


class Echo:
    """A UDP service that sends back what comes; .seen is who asked."""

    def __init__(self, stack, port=0, host='127.0.0.1'):
        self.seen = set()
        self.socket = udp_socket(host)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((host, port))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self.closing = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        stack.callback(self.close)

    def run(self):
        while not self.closing:
            try:
                data, client = self.socket.recvfrom(65536)
                self.seen.add(client)
                self.socket.sendto(data, client)
            except TimeoutError:
                pass
        self.socket.close()

    def close(self):
        self.closing = True
        self.thread.join()


class Scene:
    """A DHT, a provider of one UDP echo, at @host by the name @name, and, at the same gate port, a TCP echo; a gateway.
    @gateway(stack, secret, dht) starts one of an original, which knows one service a port: there is no TCP echo then."""

    def __init__(self, stack, host='127.0.0.1', name=None, listen='127.0.0.1', gateway=None, **options):
        dht, secret = start_dht(stack), new_secret()
        self.echo, tcp = Echo(stack, host=host), Service(stack, serve_echo)
        self.port, = free_ports(1)
        services = [{'gatePort': self.port, 'serviceHost': to, 'servicePort': port, 'protocol': protocol}
                    for protocol, to, port in (('udp', name or host, self.echo.port), ('tcp', '127.0.0.1', tcp.port))
                    if protocol == 'udp' or not gateway]
        self.provider = start_instance(stack, 'provider', secret,
                                       {'bootstrap': [dht], 'provider': {'services': services, **options}})
        self.gateway = gateway(stack, secret, dht) if gateway else start_instance(
            stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': listen, **options}})
        eventually(lambda: gateway or answers(self.port), 20, 'the gate is open')
        eventually(self.echoes, 20, 'datagrams come back')

    def client(self, host='127.0.0.1'):
        """Connected: it hears what comes from there, and nothing else."""
        client = udp_socket(host)
        client.connect((host, self.port))
        client.settimeout(0.5)
        return client

    def echoes(self):
        with self.client() as client:
            return ask(client, b'are you there?') == b'are you there?'


def ask(client, data):
    """What comes back, or None: a datagram may be lost."""
    try:
        client.send(data)
        return client.recv(65536)
    except OSError:
        return None
