# SPDX-License-Identifier: BSD-3-Clause
"""Services by name: a name with several addresses, of which not all lead somewhere, and one whose address changes."""
import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time

from harness import Service, answers, connect, eventually, free_ports, listens, main, new_secret, read_all, serve_echo, start_dht, \
    start_instance, test
from udp_scene import Echo, ask

NAME = 'both.example.org'


def hosts_file(stack, text):
    """A file that says @text."""
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    path = os.path.join(folder, 'hosts')
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)
    return path


def with_hosts(path):
    """The command under which /etc/hosts is the file @path, for who is started so and nobody else."""
    rights = [] if os.geteuid() == 0 else ['--map-current-user', '--keep-caps']
    # In a chroot / is no mount that could be made private.
    mount = f'mount --make-rprivate / 2>/dev/null; mount --bind {path} /etc/hosts && exec "$0" "$@"'
    return ['unshare', *rights, '--mount', '--propagation', 'unchanged', 'sh', '-c', mount]


class Silent:
    """A port of ::1 that answers nobody: its queue is full, and nobody takes from it."""

    def __init__(self, stack, port):
        self.listener = stack.enter_context(socket.socket(socket.AF_INET6))
        self.listener.bind(('::1', port))
        self.listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket(socket.AF_INET6))
            client.settimeout(0.5)
            try:
                client.connect(('::1', port))
            except TimeoutError:
                return
        raise AssertionError('its queue is not full')


def reached(stack, port):
    """A gate before a service at that name and port, behind which an echo is at 127.0.0.1 and something else at ::1, which comes first."""
    (gate,) = free_ports(1)
    secret, dht = new_secret(), start_dht(stack, 1)
    under = with_hosts(hosts_file(stack, f'127.0.0.1 localhost\n::1 {NAME}\n127.0.0.1 {NAME}\n'))
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {
        'services': [{'gatePort': gate, 'serviceHost': NAME, 'servicePort': port}]}}, under=under)
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    eventually(lambda: listens(gate), 20, 'the gate')
    return gate, provider


@test
def an_address_that_is_silent_costs_nobody_the_service(stack):
    """::1 answers nobody and is there first: every client has the echo of 127.0.0.1, many at once, too, and no service is said to fail"""
    echo = Service(stack, serve_echo)
    silent = Silent(stack, echo.port)
    gate, provider = reached(stack, echo.port)
    assert all(answers(gate) for _ in range(5))
    with contextlib.ExitStack() as clients:
        several = [clients.enter_context(socket.create_connection(('127.0.0.1', gate), timeout=20)) for _ in range(20)]
        for client in several:
            client.sendall(b'?')
        assert all(client.recv(1) == b'?' for client in several)
    assert silent.listener.fileno() >= 0 and 'who wants it is refused' not in provider.log()


@test
def an_address_that_refuses_costs_nobody_the_service(stack):
    """nobody is at ::1, which says so at once"""
    echo = Service(stack, serve_echo)
    gate, provider = reached(stack, echo.port)
    assert all(answers(gate) for _ in range(5)) and 'who wants it is refused' not in provider.log()


@test
def who_is_at_the_first_address_is_asked_there(stack):
    """who comes first among its addresses, and is there, is who answers"""
    listener = stack.enter_context(socket.create_server(('::1', 0), family=socket.AF_INET6))
    listener.settimeout(20)
    gate, _ = reached(stack, listener.getsockname()[1])
    with socket.create_connection(('127.0.0.1', gate), timeout=20) as client:
        client.sendall(b'?')
        while True:
            service = stack.enter_context(listener.accept()[0])         # the first ones may have looked whether the gate is open
            service.settimeout(20)
            if service.recv(1) == b'?':
                break
        service.sendall(b'!')
        assert client.recv(1) == b'!'


class Moving:
    """A service of TCP, which says its address, and an echo of UDP, both at @host and the same ports wherever it is."""

    def __init__(self, stack, host, tcp, udp):
        self.host, self.echo = host, Echo(stack, udp, host)
        self.udp = self.echo.port
        self.listener = stack.enter_context(socket.create_server((host, tcp)))
        self.tcp = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                with self.listener.accept()[0] as client, contextlib.suppress(OSError):     # of a check that is over
                    client.sendall(self.host.encode())

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.echo.close()


@test
def a_name_that_leads_elsewhere_is_followed(stack):
    """a service that moves, its name with it, by TCP, UDP and with a check: seconds after nobody was found there clients have it again"""
    first = Moving(stack, '127.0.0.2', 0, 0)
    hosts = hosts_file(stack, f'127.0.0.1 localhost\n127.0.0.2 {NAME} other.example.org checked.example.org\n')
    gates, secret, dht = free_ports(3), new_secret(), start_dht(stack, 1)
    services = [{'gatePort': gates[0], 'serviceHost': NAME, 'servicePort': first.tcp},
                {'gatePort': gates[1], 'serviceHost': 'other.example.org', 'servicePort': first.udp, 'protocol': 'udp'},
                {'gatePort': gates[2], 'serviceHost': 'checked.example.org', 'servicePort': first.tcp,
                 'health': {'type': 'tcp', 'intervalMs': 1000}}]
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': services}}, under=with_hosts(hosts))
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})

    def served_at(gate):
        try:
            with connect(gate) as client:
                return read_all(client).decode()
        except OSError:
            return None

    def seen_by(service):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(('127.0.0.1', gates[1]))
            client.settimeout(0.3)
            return ask(client, b'?') == b'?' and bool(service.echo.seen)
    for gate in gates[0], gates[2]:
        eventually(lambda gate=gate: served_at(gate) == first.host, 20, f'gate {gate}')
    eventually(lambda: seen_by(first), 20, 'the echo')

    second = Moving(stack, '127.0.0.3', first.tcp, first.udp)
    with open(hosts, 'w', encoding='ascii') as file:
        file.write(f'127.0.0.1 localhost\n127.0.0.3 {NAME} other.example.org checked.example.org\n')
    assert served_at(gates[0]) == first.host, 'as long as it is there it is asked there'
    first.close()
    began = time.monotonic()
    for gate in gates[0], gates[2]:
        eventually(lambda gate=gate: served_at(gate) == second.host, 15, f'gate {gate} leads to where its name leads')
    eventually(lambda: seen_by(second), 15, 'and so does the gate of the echo')
    print(f'# {time.monotonic() - began:.1f} s', flush=True)
    assert "can't resolve" not in provider.log()


main()
