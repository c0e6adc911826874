# SPDX-License-Identifier: BSD-3-Clause
"""Hosts of the virtual network: the helper that lends a container's ports, in a network namespace in place of a container."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from harness import eventually, main, test
from networks import Network, with_networks

MAGIC, HELLO, BIND, BOUND = 0x31706768, 1, 2, 3
ADDRESS = '10.77.0.2'


def helper_program():
    return os.path.join(os.environ['HYPERGATE_LIBEXEC'], 'hypergate-port')


class Other:
    """Who listens at the socket that helpers connect to."""

    def __init__(self, stack):
        self.folder = tempfile.mkdtemp(prefix='hypergate-test-')
        stack.callback(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, 'port.sock')
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.listener.settimeout(20)
        stack.callback(self.listener.close)

    def accept(self, host):
        link = self.listener.accept()[0]
        link.settimeout(20)
        said = link.recv(512)
        assert said == struct.pack('<IBB', MAGIC, HELLO, len(host)) + host.encode(), said
        return link


def bind(link, number, port, datagrams=False, address=ADDRESS):
    """What the helper answers: the error, and the socket or None."""
    ip = bytes(10) + b'\xff\xff' + socket.inet_aton(address)
    link.send(struct.pack('<IBIBH', MAGIC, BIND, number, datagrams, port) + ip)
    said, fds, _, _ = socket.recv_fds(link, 512, 4)
    magic, kind, told, error = struct.unpack('<IBII', said)
    assert (magic, kind, told, len(fds)) == (MAGIC, BOUND, number, 0 if error else 1), said
    return error, socket.socket(fileno=fds[0]) if fds else None


def start_helper(stack, network, path, host):
    with network.inside():
        helper = subprocess.Popen([helper_program(), path, host], stderr=subprocess.PIPE, text=True)
    stack.callback(helper.wait, 20)
    stack.callback(helper.kill)
    return helper


def container(stack):
    network = Network(stack)
    network.ip(f'addr add {ADDRESS}/24 dev lo')
    return network


@test
def a_helper_lends_its_ports(stack):
    """a helper opens TCP and UDP ports where it is, hands them over and keeps none; what it can't open it says"""
    network, other = container(stack), Other(stack)
    helper = start_helper(stack, network, other.path, 'mysql.hyper')
    link = other.accept('mysql.hyper')
    error, listener = bind(link, 7, 3306)
    assert error == 0 and listener.getsockname() == (ADDRESS, 3306)
    error, datagrams = bind(link, 8, 53, datagrams=True)
    assert error == 0 and datagrams.getsockname() == (ADDRESS, 53) and datagrams.type == socket.SOCK_DGRAM
    assert bind(link, 9, 3306) == (98, None)
    assert bind(link, 10, 3307, address='10.99.0.1') == (99, None)

    with network.inside():
        client = socket.create_connection((ADDRESS, 3306), timeout=20)
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setblocking(True)
    served = listener.accept()[0]
    client.sendall(b'hello')
    assert served.recv(5) == b'hello'
    asker.sendto(b'who?', (ADDRESS, 53))
    datagrams.settimeout(20)
    assert datagrams.recv(64) == b'who?'

    listener.close()
    assert bind(link, 11, 3306)[0] == 0         # so the helper holds it no more
    for one in (client, asker, served, datagrams):
        one.close()
    assert helper.poll() is None


@test
def a_helper_ends_with_its_daemon(stack):
    """a helper ends when the other end is gone or makes no sense, when it is told to, and at once where there is nobody"""
    network, other = container(stack), Other(stack)
    for what in ('gone', 'nonsense', 'told'):
        helper = start_helper(stack, network, other.path, 'a.hyper')
        link = other.accept('a.hyper')
        if what == 'nonsense':
            link.send(b'\0' * 16)
        elif what == 'told':
            helper.send_signal(signal.SIGTERM)
        else:
            link.close()
        eventually(lambda: helper.poll() is not None, 20, what)
        assert helper.returncode == (76 if what == 'nonsense' else 0), (what, helper.returncode)
        link.close()
    nobody = start_helper(stack, network, other.path + '.none', 'a.hyper')
    assert nobody.wait(20) == 69 and 'No such file' in nobody.stderr.read()
    assert start_helper(stack, network, other.path, 'not a host').wait(20) == 64


if __name__ == '__main__':
    with_networks()
    main()
