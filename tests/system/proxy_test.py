# SPDX-License-Identifier: BSD-3-Clause
"""Services that are told of their clients by the PROXY protocol."""
import ipaddress
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

from harness import Service, binary, eventually, free_ports, how_it_ends, listens, main, new_secret, read_all, start_dht, start_instance, test
from udp_scene import has

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'


def take(header):
    """(client, gateway, kind, rest) of what begins with a header of version 1 or 2."""
    if header.startswith(b'PROXY TCP'):
        line, rest = header.split(b'\r\n', 1)
        _, kind, source, destination, source_port, destination_port = line.decode().split(' ')
        return (source, int(source_port)), (destination, int(destination_port)), kind, rest
    assert header.startswith(SIGNATURE), header
    command, family, length = struct.unpack('>BBH', header[12:16])
    assert command == 0x21, command
    size = {0x10: 4, 0x20: 16}[family & 0xf0]
    ends, rest = header[16:16 + length], header[16 + length:]
    assert length == 2 * size + 4
    ports = struct.unpack('>HH', ends[2 * size:])
    source, destination = (str(ipaddress.ip_address(ends[at:at + size])) for at in (0, size))
    return (source, ports[0]), (destination, ports[1]), {0x1: 'TCP', 0x2: 'UDP'}[family & 0xf] + {4: '4', 16: '6'}[size], rest


class Listener:
    """Takes the header of each connection, then echoes."""

    def __init__(self, stack, listener):
        self.listener, self.told = listener, []
        threading.Thread(target=self.accept, daemon=True).start()
        stack.callback(self.close)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            data = b''
            while chunk := connection.recv(65536):
                data += chunk
            told = take(data)
            if told[3]:                 # else somebody looked whether the gate is open
                self.told.append(told)
                connection.sendall(told[3])

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def ask(host, port, words):
    """The client's own address, after its words came back and were told with its name."""
    with socket.create_connection((host, port), timeout=20) as client:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == words
        return client.getsockname()[:2]


@test
def services_are_told_who_their_client_is(stack):
    """v1 and v2 to TCP services, one of them a unix socket, and v2 in front of each datagram: the client's own address, IPv4 and IPv6"""
    assert has('::1'), 'the namespace of these tests has it'
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    path = os.path.join(folder, 'app.sock')
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    local.bind(path)
    os.chmod(path, 0o666)
    local.listen(16)
    services = [Listener(stack, socket.create_server(('127.0.0.1', 0))), Listener(stack, socket.create_server(('127.0.0.1', 0))),
                Listener(stack, local)]
    datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    datagrams.bind(('127.0.0.1', 0))
    datagrams.settimeout(20)
    ports, secret, dht = free_ports(3), new_secret(), start_dht(stack, 1)
    entries = [{'gatePort': port, 'serviceHost': '127.0.0.1', 'servicePort': service.listener.getsockname()[1], 'proxyProtocol': version}
               for port, service, version in zip(ports, services[:2], ('v1', 'v2'))]
    entries.append({'gatePort': ports[2], 'serviceHost': 'unix:' + path, 'proxyProtocol': 'v2'})
    entries.append({'gatePort': ports[0], 'serviceHost': '127.0.0.1', 'servicePort': datagrams.getsockname()[1], 'protocol': 'udp',
                    'proxyProtocol': 'v2'})
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': entries}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': ['127.0.0.1', '::1']}})
    for port in ports:
        eventually(lambda: listens(port), 20, 'the gate')

    for port, service in zip(ports, services):
        for host, kind in (('127.0.0.1', 'TCP4'), ('::1', 'TCP6')):
            words = f'{port} {host}'.encode() * 1000
            client = ask(host, port, words)
            assert service.told[-1] == (client, (host, port), kind, words), service.told[-1][:3]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(('127.0.0.1', ports[0]))
        client.settimeout(20)
        for size in (0, 5, 1200, 60000):
            client.send(b'x' * size)
            data, remote = datagrams.recvfrom(65536)
            assert take(data) == (client.getsockname(), ('127.0.0.1', ports[0]), 'UDP4', b'x' * size), data[:60]
            datagrams.sendto(b'yes', remote)
            assert client.recv(10) == b'yes', 'answers have none'


@test
def gates_believe_trusted_proxies_alone(stack):
    """a gate takes the client from the header of a trusted proxy, also in pieces, and turns away one that sends none; from others it is data"""
    service = Listener(stack, socket.create_server(('127.0.0.1', 0)))
    (port,), secret, dht = free_ports(1), new_secret(), start_dht(stack, 1)
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [{
        'gatePort': port, 'serviceHost': '127.0.0.1', 'servicePort': service.listener.getsockname()[1], 'proxyProtocol': 'v2'}]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'trustedProxies': ['127.0.9.0/24']}})
    eventually(lambda: listens(port), 20, 'the gate')

    def come(host, *pieces):
        with socket.create_connection(('127.0.0.1', port), timeout=20, source_address=(host, 0)) as client:
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            return client.getsockname(), read_all(client)

    v1, v2 = b'PROXY TCP6 2001:db8::7 2001:db8::1 999 443\r\n', SIGNATURE + struct.pack('>BBH4B4BHH', 0x21, 0x11, 12, 203, 0, 113, 7, 192, 0, 2, 1, 9, 80)
    assert come('127.0.9.1', v1 + b'one')[1] == b'one'
    assert service.told[-1][:3] == (('2001:db8::7', 999), ('2001:db8::1', 443), 'TCP6')
    assert come('127.0.9.255', *(v2[at:at + 1] for at in range(len(v2))), b'two')[1] == b'two'
    assert service.told[-1][:3] == (('203.0.113.7', 9), ('192.0.2.1', 80), 'TCP4')
    client, echoed = come('127.0.8.1', v1 + b'three')
    assert echoed == v1 + b'three' and service.told[-1][0] == client
    with socket.create_connection(('127.0.0.1', port), timeout=20, source_address=('127.0.9.1', 0)) as client:
        client.sendall(b'GET / HTTP/1.0\r\n\r\n')
        assert how_it_ends(client) == 'reset'
    gateway.says(f'gate {port}: 127.0.9.1:')
    assert len(service.told) == 3


def serve_echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


@test
def whose_channels_are(stack):
    """channels and the lines of those that are over say who came, as a trusted proxy says it, and the labels that let it in, at either end"""
    (port,), secret, dht = free_ports(1), new_secret(), start_dht(stack, 1)
    service = Service(stack, serve_echo)
    start = {'provider': {'services': [{'gatePort': port, 'serviceHost': '127.0.0.1', 'servicePort': service.port,
                                        'ingressPolicy': {'ips': {'203.0.113.0/24': {'labels': ['vip', 'office']}}}}]},
             'gateway': {'trustedProxies': '127.0.9.0/24', 'ingressPolicy': {'defaults': {'labels': ['here']}}}}
    instances = {role: start_instance(stack, role, secret, {'bootstrap': [dht], 'logChannels': True, role: conf}) for role, conf in start.items()}
    eventually(lambda: listens(port), 20, 'the gate')

    def channels(role, *flags):
        return subprocess.run([binary(), 'channels', *flags, role], check=True, capture_output=True, text=True, timeout=60,
                              env={**os.environ, 'RUNTIME_DIRECTORY': instances[role].folder}).stdout

    with socket.create_connection(('127.0.0.1', port), timeout=20, source_address=('127.0.9.1', 0)) as client:
        client.sendall(b'PROXY TCP4 203.0.113.10 192.0.2.1 51000 443\r\nx')
        assert client.recv(1) == b'x'
        for role in instances:
            said = [json.loads(line) for line in channels(role, '--json').splitlines()]
            mine = [one for one in said if one['clientAddress'] == '203.0.113.10']
            assert [(one['clientPort'], one['labels']) for one in mine] == [(51000, ['vip', 'office', 'here'])], said
            assert ' for 203.0.113.10:51000 (vip,office,here) ' in channels(role)
    instances['gateway'].says(f'gate {port}: 203.0.113.10:51000 (vip,office,here), peer ')
    instances['provider'].says(f'service {port}: 127.0.0.1:{service.port} for 203.0.113.10:51000 (vip,office,here), peer ')


main()
