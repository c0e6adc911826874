# SPDX-License-Identifier: BSD-3-Clause
"""Services that are unix sockets, and those at IPv6: what goes in comes out, and who is not there is told of."""
import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
import threading

from harness import MB, connect, eventually, free_ports, how_it_ends, listens, main, new_secret, pattern, read_all, start_dht, start_instance, test
from udp_scene import has

SIZE = 8 * MB


def listen_at(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(128)
    return listener


class Echo:
    """Until the end, which it gives back."""

    def __init__(self, listener):
        self.listener = listener
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.echo, args=self.listener.accept()[:1], daemon=True).start()

    @staticmethod
    def echo(connection):
        with connection, contextlib.suppress(OSError):
            while chunk := connection.recv(65536):
                connection.sendall(chunk)
            connection.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def said(instance, text):
    assert instance.says(text), text


@test
def a_unix_socket_is_a_service_like_others(stack):
    """a unix socket is a service: bytes both ways, each end by itself, many at once; who comes while nobody listens is refused, and it is told"""
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    path, secret, dht = os.path.join(folder, 'app.sock'), new_secret(), start_dht(stack, 1)
    port, = free_ports(1)
    service = Echo(listen_at(path))
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'logChannels': True, 'provider': {
        'services': [{'gatePort': port, 'serviceHost': 'unix:' + path}]}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    eventually(lambda: listens(port), 20, 'the gate')

    data, got = pattern(3, SIZE), []
    with connect(port) as client:
        reader = threading.Thread(target=lambda: got.append(read_all(client)))
        reader.start()
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        reader.join()
    assert hashlib.sha256(got[0]).digest() == hashlib.sha256(data).digest()
    said(provider, f'service {port}: unix:{path} for 127.0.0.1:')

    clients = [stack.enter_context(connect(port)) for _ in range(50)]
    for number, client in enumerate(clients):
        client.sendall(bytes([number]))
    assert [client.recv(1) for client in clients] == [bytes([number]) for number in range(50)]

    service.close()
    with contextlib.suppress(ConnectionResetError), connect(port) as client:        # it may be before that is through
        assert how_it_ends(client) != 'end'
    said(provider, f'service {port} at unix:{path}: Connection refused; who wants it is refused')
    os.remove(path)
    service = Echo(listen_at(path))
    with connect(port) as client:
        client.sendall(b'x')
        assert client.recv(1) == b'x'
    said(provider, f'service {port} at unix:{path} answers again')
    clients[7].sendall(b'!')
    assert clients[7].recv(1) == b'!', 'who was there before stays'
    service.close()


def ask(host, port):
    """Whether it echoes, all of it and then the end."""
    with socket.create_connection((host, port), timeout=20) as client:
        client.sendall(host.encode())
        client.shutdown(socket.SHUT_WR)
        return read_all(client) == host.encode()


@test
def gates_and_services_may_be_ipv6(stack):
    """a service at ::1 behind a gate at ::1 and 127.0.0.1: IPv6 on either side, and none of the other's business"""
    assert has('::1'), 'the namespace of these tests has it'
    port, = free_ports(1)
    service = Echo(socket.create_server(('::1', 0), family=socket.AF_INET6, backlog=128))
    stack.callback(service.close)
    secret, dht = new_secret(), start_dht(stack, 1)
    entry = {'gatePort': port, 'serviceHost': '::1', 'servicePort': service.listener.getsockname()[1]}
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [entry]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {
        'listen': ['::1', '127.0.0.1'], 'services': [{'gatePort': port, 'serviceHost': '::1'}]}})
    for host in '::1', '127.0.0.1':
        said(gateway, f'gate {port} open on {host}')
    assert ask('::1', port) and ask('127.0.0.1', port)


@test
def an_alias_hides_where_a_service_is(stack):
    """a gateway is told the alias: its filters go by it, bytes go where the provider alone knows, and a refusal does not say where that is"""
    port, = free_ports(1)
    service = Echo(socket.create_server(('127.0.0.1', 0), backlog=128))
    real = service.listener.getsockname()[1]
    secret, dht = new_secret(), start_dht(stack, 1)
    entry = {'gatePort': port, 'serviceHost': '127.0.0.1', 'alias': 'db.internal', 'servicePort': real}
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [entry]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'logLevel': 'debug', 'gateway': {
        'listen': '127.0.0.1', 'services': [{'serviceHost': 'db.internal'}]}})
    said(gateway, f'gate {port} open on ')
    assert ask('127.0.0.1', port)
    service.close()
    with contextlib.suppress(ConnectionResetError), connect(port) as client:        # it may be before that is through
        assert how_it_ends(client) != 'end'
    said(provider, f'service {port} at 127.0.0.1:{real}: Connection refused; who wants it is refused')
    said(gateway, f'Error: connect ECONNREFUSED db.internal:{real}')
    assert f'127.0.0.1:{real}' not in gateway.log()


def say(path, words):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


@test
def gates_may_be_unix_sockets(stack):
    """each TCP gate has a unix socket of its own, with its mode; one left behind is replaced, a file in the way is told of, and at the end none stays"""
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, folder)
    os.chmod(folder, 0o777)
    ports, secret, dht = free_ports(3), new_secret(), start_dht(stack, 1)
    service = Echo(socket.create_server(('127.0.0.1', 0), backlog=128))
    stack.callback(service.close)
    paths = [os.path.join(folder, f'gate-{port}.sock') for port in ports]
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(paths[1])
    os.chmod(paths[1], 0o666)
    left.close()
    with open(paths[2], 'w', encoding='ascii') as file:
        file.write('mine')
    services = [{'gatePort': port, 'serviceHost': '127.0.0.1', 'servicePort': service.listener.getsockname()[1], 'protocol': protocol}
                for port, protocol in zip(ports, ('tcp+udp', 'tcp', 'tcp'))]
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': services}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'logChannels': True, 'gateway': {
        'listen': ['127.0.0.1', f'unix:{folder}/gate-{{gatePort}}.sock'], 'socketMode': '0606'}})
    for port in ports:
        eventually(lambda: listens(port), 20, 'the gate')
    for port, path in zip(ports[:2], paths):
        said(gateway, f'gate {port} open on unix:{folder}/gate-{{gatePort}}.sock')
        assert os.stat(path).st_mode & 0o777 == 0o606
        assert say(path, b'words') == b'words'
        assert ask('127.0.0.1', port)
    said(gateway, f'gate {ports[2]}: can\'t listen on unix:{folder}/gate-{{gatePort}}.sock: a file that is no socket is there')
    said(gateway, 'a unix socket')
    assert gateway.stop() == 0
    assert sorted(os.listdir(folder)) == [os.path.basename(paths[2])], 'what is not ours is left'


if __name__ == '__main__':
    main()
