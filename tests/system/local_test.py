# SPDX-License-Identifier: BSD-3-Clause
"""Services that are unix sockets: what goes in comes out, and who is not there is told of."""
import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
import threading

from harness import MB, connect, eventually, free_ports, how_it_ends, listens, main, new_secret, pattern, read_all, start_dht, start_instance, test

SIZE = 8 * MB


class LocalService:
    """Echoes until the end, which it gives back."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(128)
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
    service = LocalService(path)
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
    said(provider, f'service {port}: unix:{path}, peer ')

    clients = [stack.enter_context(connect(port)) for _ in range(50)]
    for number, client in enumerate(clients):
        client.sendall(bytes([number]))
    assert [client.recv(1) for client in clients] == [bytes([number]) for number in range(50)]

    service.close()
    with connect(port) as client:
        assert how_it_ends(client) != 'end'
    said(provider, f'service {port} at unix:{path}: Connection refused; who wants it is refused')
    os.remove(path)
    service = LocalService(path)
    with connect(port) as client:
        client.sendall(b'x')
        assert client.recv(1) == b'x'
    said(provider, f'service {port} at unix:{path} answers again')
    clients[7].sendall(b'!')
    assert clients[7].recv(1) == b'!', 'who was there before stays'
    service.close()


if __name__ == '__main__':
    main()
