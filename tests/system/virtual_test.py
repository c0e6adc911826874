# SPDX-License-Identifier: BSD-3-Clause
"""Hosts of the virtual network: the helper that lends a container's ports, in a network namespace in place of a container, and whole
instances that serve them."""
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

from harness import MB, Service, binary, digest, eventually, free_ports, main, new_secret, pattern, read_all, serve_bytes, serve_digest, start_dht, \
    start_instance, test
from networks import Network, with_networks
from udp_scene import Echo

MAGIC, HELLO, BIND, BOUND = 0x31706768, 1, 2, 3
ADDRESS = '10.77.0.2'


def helper_program():
    installed = os.path.join(os.path.dirname(os.path.realpath(binary())), '../libexec/hypergate')
    return os.path.join(os.environ.get('HYPERGATE_LIBEXEC', installed), 'hypergate-port')


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


class Virtual:
    """A provider of three services, two at the same port of two hosts, and a gateway with a virtual network, both on this machine; helpers are
    in networks of their own. @names: the services that the provider has."""
    names = {'one.hyper': '127.0.0.1', 'two.hyper': '127.0.0.2'}

    def __init__(self, stack):
        self.stack, self.secret, self.dht = stack, new_secret(), start_dht(stack, 1)
        self.folder = tempfile.mkdtemp(prefix='hypergate-test-')
        stack.callback(shutil.rmtree, self.folder, True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, os.environ['HYPERGATE_USER'])
        self.path = os.path.join(self.folder, 'port.sock')
        self.gates, self.spare = free_ports(3), free_ports(1)[0]
        self.one = Service(stack, serve_bytes(b'one'))
        self.port = self.one.port
        self.two = self.second(stack)
        self.echo = Echo(stack, self.port)
        self.provider = None
        self.provide(self.entries())
        self.gateway = start_instance(stack, 'gateway', self.secret, {'bootstrap': [self.dht], 'gateway': {
            'listen': '127.0.0.1', 'hosts': 'unix:' + self.path}})
        eventually(lambda: os.path.exists(self.path), 20, 'where helpers connect')

    def second(self, stack):
        """At the same port of another address; it answers with the digest of what it is sent."""
        service = Service(stack, serve_digest)
        service.close()
        service.listener = socket.create_server(('127.0.0.2', self.port), backlog=64)
        threading.Thread(target=service.accept, daemon=True).start()
        return service

    def entries(self):
        hosts = list(self.names)
        return [{'gatePort': self.gates[0], 'serviceHost': hosts[0], 'servicePort': self.port, 'protocol': 'tcp+udp'},
                {'gatePort': self.gates[1], 'serviceHost': hosts[1], 'servicePort': self.port, 'protocol': 'tcp'},
                {'gatePort': self.gates[2], 'serviceHost': hosts[1], 'servicePort': self.spare, 'protocol': 'tcp'}]

    def provide(self, services):
        """Names are of hosts(5), in a mount namespace of the provider's own."""
        hosts = os.path.join(self.folder, 'hosts')
        with open(hosts, 'w') as file:
            file.writelines(f'{address} {name}\n' for name, address in self.names.items())
        os.chmod(hosts, 0o644)
        os.chmod(self.folder, 0o755)
        rights = [] if os.geteuid() == 0 else ['--map-current-user', '--keep-caps']
        mount = f'mount --make-rprivate / 2>/dev/null; mount --bind {hosts} /etc/hosts && exec "$@"'
        self.provider = start_instance(self.stack, 'provider', self.secret, {'bootstrap': [self.dht], 'provider': {'services': services}},
                                       under=['unshare', *rights, '--mount', '--propagation', 'unchanged', 'sh', '-c', mount, 'sh'])

    def helper(self, host):
        network = container(self.stack)
        with network.inside():
            helper = subprocess.Popen(['setpriv', '--reuid', os.environ['HYPERGATE_USER'], '--clear-groups', helper_program(), self.path, host]
                                      if os.geteuid() == 0 else [helper_program(), self.path, host], stderr=subprocess.PIPE, text=True)
        self.stack.callback(helper.wait, 20)
        self.stack.callback(helper.kill)
        return network, helper

    def talk(self, network, data=b''):
        with network.inside():
            client = socket.create_connection((ADDRESS, self.port), timeout=20)
        with client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def ask(self, network, data):
        """The answer to a datagram, or None: sent again until there is one."""
        with network.inside():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(1)
        with client:
            for _ in range(20):
                client.sendto(data, (ADDRESS, self.port))
                with contextlib.suppress(OSError):
                    return client.recv(65536)

    def count(self):
        """What the gateway's status says of it."""
        done = subprocess.run([binary(), 'status', '--json', 'gateway'], capture_output=True, check=True, timeout=60,
                              env={**os.environ, 'RUNTIME_DIRECTORY': self.gateway.folder})
        return json.loads(done.stdout.splitlines()[0])['hosts']

    def is_open(self, network):
        try:
            with network.inside():
                socket.create_connection((ADDRESS, self.port), timeout=20).close()
            return True
        except OSError:
            return False


@test
def hosts_have_the_same_port_side_by_side(stack):
    """two hosts with the same port are two networks apart, each reached by the service's own port, TCP and UDP; 8 MB arrive as they were"""
    virtual = Virtual(stack)
    first, _ = virtual.helper('one.hyper')
    second, _ = virtual.helper('two.hyper')
    eventually(lambda: virtual.is_open(first) and virtual.is_open(second), 30, 'both are open')
    assert virtual.talk(first) == b'one'
    data = pattern(5, 8 * MB)
    assert virtual.talk(second, data).decode() == digest(data)
    assert virtual.talk(first) == b'one'
    assert virtual.ask(first, b'by datagram') == b'by datagram'
    virtual.gateway.says(f'host one.hyper: port {virtual.port} open')
    assert not virtual.gateway.log().count('gate 1:')
    eventually(lambda: virtual.count() == {'names': 2, 'ports': 4, 'open': 4}, 20, 'all of that is counted')


@test
def a_name_goes_with_its_routes(stack):
    """a helper that was there first is asked when a service comes; its port closes when nobody has the service any more, and opens again"""
    virtual = Virtual(stack)
    network, helper = virtual.helper('one.hyper')
    eventually(lambda: virtual.is_open(network), 30, 'open')
    virtual.provider.stop()
    eventually(lambda: not virtual.is_open(network), 30, 'closed')
    eventually(lambda: virtual.count() == {'names': 0, 'ports': 0, 'open': 0}, 20, 'nothing is counted')
    assert helper.poll() is None
    virtual.provide(virtual.entries())
    eventually(lambda: virtual.is_open(network), 30, 'open again')
    assert virtual.talk(network) == b'one'


@test
def nothing_is_left_of_a_gateway_that_is_killed(stack):
    """helpers end when the gateway or its hosts worker is killed; those that come anew are served again"""
    virtual = Virtual(stack)
    network, helper = virtual.helper('one.hyper')
    eventually(lambda: virtual.is_open(network), 30, 'open')
    worker, = virtual.gateway.workers('hosts')
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: helper.poll() is not None, 20, 'the helper ends')
    eventually(lambda: virtual.gateway.workers('hosts') not in ([], [worker]), 20, 'another worker')
    network, helper = virtual.helper('one.hyper')
    eventually(lambda: virtual.is_open(network), 30, 'open again')
    router, = virtual.gateway.workers('router')
    os.kill(router, signal.SIGKILL)
    eventually(lambda: virtual.gateway.workers('router') not in ([], [router]), 20, 'another router worker')
    assert virtual.talk(network) == b'one'
    virtual.gateway.stop(signal.SIGKILL)
    eventually(lambda: helper.poll() is not None, 20, 'the helper ends')


@test
def a_port_of_this_machine_is_not_lent(stack):
    """a helper in the machine's own network is refused: the gateway would open a port that its configuration says nothing of"""
    virtual = Virtual(stack)
    user = ['setpriv', '--reuid', os.environ['HYPERGATE_USER'], '--clear-groups'] if os.geteuid() == 0 else []
    helper = subprocess.Popen([*user, helper_program(), virtual.path, 'two.hyper'])
    stack.callback(helper.wait, 20)
    stack.callback(helper.kill)
    virtual.gateway.says("its helper is in this machine's own network", 30)
    with contextlib.suppress(OSError):
        socket.create_connection(('127.0.0.1', virtual.spare), timeout=20).close()
        raise AssertionError('it is open')


if __name__ == '__main__':
    with_networks()
    main()
