# SPDX-License-Identifier: BSD-3-Clause
"""The same clients, with ours at both ends, or a double of the original, on its libraries from npm, at either."""
import contextlib
import os
import select
import socket
import subprocess

from place import MariaDb, Shell, bytes_at, digest_of, dnsmasq, eventually, folder, gate, meet, says

from scene import nginx

from harness import Service, answers, connect, free_ports, main, serve_echo, test

MEGABYTES = 5
PAIRS = [('ours', 'ours'), ('ours', 'original'), ('original', 'ours')]


def each_pair(stack, check, *services):
    """check(gate ports) for each provider and gateway; @services are (port, protocol)."""
    for provider, gateway in PAIRS:
        with contextlib.ExitStack() as inner:
            ports = free_ports(len(services))
            meet(inner, [gate(port, *service) for port, service in zip(ports, services)], provider, gateway)
            try:
                check(*ports)
            except Exception as error:
                raise AssertionError(f'provider: {provider}, gateway: {gateway}') from error


@test
def the_web_and_a_shell(stack):
    """curl: 5 MB each way and fifty at once; ssh: what a command says and how it ends; scp: 5 MB there and back"""
    place, (web,), shell = folder(stack), free_ports(1), Shell(stack)
    os.chmod(place, 0o777)
    file, got, there = (os.path.join(place, name) for name in ('file', 'got', 'there'))
    wanted = bytes_at(file, MEGABYTES << 20)
    nginx(stack, [web], f'server {{ listen 127.0.0.1:{web}; root {place}; client_max_body_size 0; location = /word {{ return 200 word; }} '
          f'location = /put {{ dav_methods PUT; }} }}')

    def check(web_gate, shell_gate):
        url = f'http://127.0.0.1:{web_gate}'
        says('curl', '-sS', '--fail', '-o', got, f'{url}/file')
        assert digest_of(got) == wanted
        says('curl', '-sS', '--fail', '-T', file, f'{url}/put')
        assert digest_of(os.path.join(place, 'put')) == wanted
        assert says('curl', '-sS', '--fail', '--parallel', '--parallel-max', '50', f'{url}/word?[1-50]') == 'word' * 50
        assert says('ssh', *shell.words(shell_gate), '127.0.0.1', 'echo $((6 * 7)); exit 0') == '42\n'
        says('scp', '-q', *shell.words(shell_gate), file, f'127.0.0.1:{there}')
        says('scp', '-q', *shell.words(shell_gate), f'127.0.0.1:{there}', got)
        assert digest_of(there) == digest_of(got) == wanted
        for path in (got, there, os.path.join(place, 'put')):
            os.remove(path)
    each_pair(stack, check, (web, 'tcp'), (shell.port, 'tcp'))


@test
def names(stack):
    """dig: by UDP at one gate and by TCP at another, as an original has no port for both; from eight addresses"""
    service = dnsmasq(stack, ''.join(f'host-record=n{n}.test,10.0.0.{n}\n' for n in range(1, 9)))

    def check(udp, tcp):
        def dig(port, *words):
            command = ['dig', '@127.0.0.1', '-p', str(port), '+short', '+tries=5', '+time=2', *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.returncode == 0 and done.stdout.strip()
        eventually(lambda: dig(udp, 'n1.test') == '10.0.0.1', 30, 'an answer')
        for n in range(1, 9):
            assert dig(udp, '-b', f'127.0.0.{n + 1}', f'n{n}.test') == dig(tcp, '+tcp', f'n{n}.test') == f'10.0.0.{n}'
    each_pair(stack, check, (service, 'udp'), (service, 'tcp'))


@test
def a_database(stack):
    """mariadb: 5 MB dumped and loaded, byte for byte the same, and the answers to twenty clients"""
    database, place = MariaDb(stack), folder(stack)
    database.fill(database.port, MEGABYTES)
    here, there, again = (os.path.join(place, name) for name in ('here', 'there', 'again'))
    wanted = database.dump(database.port, 'first', here)

    def check(port):
        assert database.dump(port, 'first', there) == wanted
        database.load(port, 'second', there)
        assert database.dump(database.port, 'second', again) == wanted
        for number in range(20):
            assert database.ask(port, f'SELECT {number} * 2') == str(number * 2)
    each_pair(stack, check, (database.port, 'tcp'))


@test
def who_is_let_in(stack):
    """N14, N15: an original's gateway keeps to the policy of our provider, and ours to an original's and to its own"""
    policy = {'ips': {'127.0.0.2': {'allow': False}, '127.0.0.0/29': {'allow': True}}, 'defaults': {'allow': False}}
    echo = Service(stack, serve_echo)

    def answered(port, source):
        with contextlib.suppress(ConnectionError), socket.create_connection(('127.0.0.1', port), 30, (source, 0)) as client:
            client.sendall(b'in')
            return client.recv(2) == b'in'
        return False

    for provider, gateway in PAIRS:
        with contextlib.ExitStack() as inner:
            (port,) = free_ports(1)
            meet(inner, [{**gate(port, echo.port), 'ingressPolicy': policy}], provider, gateway,
                 ingressPolicy={'ips': {'127.0.0.4': {'allow': False}}})
            eventually(lambda: answered(port, '127.0.0.3'), 30, 'who is let in')
            found = {host: answered(port, f'127.0.0.{host}') for host in (1, 2, 3, 4, 8)}
            assert found == {1: True, 2: False, 3: True, 4: gateway == 'original', 8: False}, (provider, gateway, found)


@test
def a_service_that_is_down_for_a_while(stack):
    """P02: through an original's gateway, too, nobody meets a service whose check fails, and who comes meanwhile waits for it"""
    def asked(port):
        with connect(port, 60) as client:
            client.sendall(b'?')
            return client.recv(10)

    def serve(connection):
        said = connection.recv(4096)
        connection.sendall(b'HTTP/1.1 ' + status[0] + b'\r\n\r\n' if said.startswith(b'GET') else b'first')

    status, often = [b'200 OK'], {'intervalMs': 500, 'rise': 2, 'fall': 2}
    first, echo = Service(stack, serve), Service(stack, serve_echo)
    backup = Service(stack, lambda connection: connection.recv(1) and connection.sendall(b'backup'))
    two, one = free_ports(2)
    provider = meet(stack, [{**gate(two, first.port), 'health': {'type': 'http', 'path': '/', **often}},
                            {**gate(two, backup.port), 'priority': 1},
                            {**gate(one, echo.port), 'health': {'type': 'tcp', **often}}], 'ours', 'original')
    assert eventually(lambda: answers(one), 30, 'an echo') and asked(two) == b'first'
    status[0] = b'503 Service Unavailable'
    provider.says('its check fails: HTTP status 503')
    eventually(lambda: asked(two) == b'backup', 20, 'the backup')
    status[0] = b'200 OK'
    eventually(lambda: asked(two) == b'first', 20, 'it is back')

    echo.close()
    eventually(lambda: any(f':{echo.port}' in line for line in provider.says('its check fails')), 20, 'nobody listens')
    with connect(one, 60) as waiting:
        waiting.sendall(b'who waits')
        assert not select.select([waiting], [], [], 1)[0], 'neither served nor turned away'
        Service(stack, serve_echo, echo.port)
        assert waiting.recv(9) == b'who waits'


if __name__ == '__main__':
    main()
