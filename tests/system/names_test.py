# SPDX-License-Identifier: BSD-3-Clause
"""Services by name: a name with several addresses, of which not all lead somewhere."""
import contextlib
import os
import shutil
import socket
import tempfile

from harness import Service, answers, eventually, free_ports, listens, main, new_secret, serve_echo, start_dht, start_instance, test

NAME = 'both.example.org'


def with_hosts(stack, text):
    """The command under which /etc/hosts says @text, for who is started so and nobody else."""
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    path = os.path.join(folder, 'hosts')
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)
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
    under = with_hosts(stack, f'127.0.0.1 localhost\n::1 {NAME}\n127.0.0.1 {NAME}\n')
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


main()
