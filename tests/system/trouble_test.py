# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong at a user's is told in one clear line, the rest goes on, and it mends by itself. What the README says works."""
import contextlib
import ctypes
import fcntl
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess

from harness import (Pair, Process, Service, answers, binary, connect, eventually, free_ports, how_it_ends, listens, main,
                     new_secret, program, serve_bytes, serve_echo, start_dht, start_instance, status, test)
from instance import Folder

ROOT = os.geteuid() == 0
USER = os.environ.get('HYPERGATE_USER', 'nobody')
README = os.path.join(os.path.dirname(__file__), '..', '..', 'README.md')


def folder_for(stack):
    folder = Folder()
    stack.callback(folder.remove)
    return folder


def secret_file(folder, secret, name='router.key', mode=0o600):
    """A key file of the user that the daemon becomes."""
    path = folder.file(name, secret + '\n', mode)
    if ROOT:
        os.chown(path, pwd.getpwnam(USER).pw_uid, -1)
    return path


def says_once(instance, text, seconds=15):
    """Its only line with @text."""
    lines = instance.says(text, seconds)
    assert len(lines) == 1, lines
    return lines[0]


def run_to_its_end(*args, env=None):
    """Exit code and words of a command that doesn't get far."""
    environment = {**os.environ, **(env or {})}
    environment = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run([binary(), *args], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def is_refused(gate):
    """Whether a client of @gate is reset, be it before connect() is back."""
    try:
        with connect(gate) as connection:
            return how_it_ends(connection) == 'reset'
    except ConnectionResetError:
        return True


def service(gate, port, host='127.0.0.1'):
    return {'gatePort': gate, 'serviceHost': host, 'servicePort': port, 'protocol': 'tcp'}


# --- What the machine refuses ---

@test
def gates_and_services(stack):
    """a gate's port in use, a service without an address, a service that is down: told once each, the rest goes on, all mend"""
    dht, secret, echo = start_dht(stack, 1), new_secret(), Service(stack, serve_echo)
    busy, nowhere, down, good = free_ports(4)
    sleeping = free_ports(1)[0]
    occupant = socket.create_server(('127.0.0.1', busy))
    stack.callback(occupant.close)
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [
        service(busy, echo.port), service(nowhere, 80, 'does-not-exist.invalid'), service(down, sleeping),
        service(good, echo.port)]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})

    line = says_once(gateway, f"gate {busy}: can't listen on 127.0.0.1")
    assert 'in use by another program; trying again in 1 s, then at least every 10 s' in line, line
    line = says_once(provider, f'service {nowhere}: can\'t resolve "does-not-exist.invalid"')
    assert 'unreachable until then, next try in 5 s' in line, line
    eventually(lambda: answers(good), 15, 'the rest works')
    for port in (nowhere, down):
        eventually(lambda: listens(port), 10, f'gate {port}')
        for _ in range(3):
            assert is_refused(port)
    assert 'has no address' in says_once(provider, f'service {nowhere} at does-not-exist.invalid:80')
    assert 'Connection refused; who wants it is refused' in says_once(provider, f'service {down} at 127.0.0.1:{sleeping}')

    occupant.close()
    eventually(lambda: answers(busy), 20, 'the gate opens when its port is free')
    with socket.create_server(('127.0.0.1', sleeping)) as late:
        late.settimeout(10)
        with connect(down) as client:
            accepted, _ = late.accept()
            with accepted:
                client.sendall(b'x')
                assert accepted.recv(10) == b'x'
    assert says_once(provider, f'service {down} at 127.0.0.1:{sleeping} answers again')
    assert says_once(gateway, f"gate {busy}: can't listen")
    for instance in (provider, gateway):
        assert len(instance.log().splitlines()) < 20, 'a flood'


@test
def network_out_of_reach(stack):
    """no bootstrap node answers, one has no address: told once with what happens next; all comes up with it, and again"""
    secret, echo = new_secret(), Service(stack, serve_echo)
    port, gate = free_ports(1, socket.SOCK_DGRAM)[0], free_ports(1)[0]
    dht = f'127.0.0.1:{port}'
    provider = start_instance(stack, 'provider', secret, {'bootstrap': ['does-not-exist.invalid:5000', dht],
                                                          'provider': {'services': [service(gate, echo.port)]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    node = Process(stack, 'node', ['bootstrap', '--listen', f'127.0.0.1:{free_ports(1, socket.SOCK_DGRAM)[0]}', '--bootstrap', dht])
    line = says_once(provider, 'can\'t resolve "does-not-exist.invalid"')
    assert 'bootstrap node does-not-exist.invalid:5000: ' in line and 'next try in 5 s' in line, line
    for instance in (provider, gateway, node):
        instance.says('ready: ')
        line = says_once(instance, 'DHT unreachable', 25)
        assert '127.0.0.1' in line or 'does-not-exist.invalid:5000 and 1 other' in line, line
        assert 'asking again, at least every 10 s' in line, line
    first = Process(stack, 'first', ['bootstrap', '--listen', dht])
    eventually(lambda: answers(gate), 30, 'all is well by itself')
    for instance in (provider, gateway, node):
        says_once(instance, 'DHT reached')
        says_once(instance, 'DHT unreachable')
    assert (first.stop(), node.stop()) == (0, 0)
    for instance in (provider, gateway):
        says_once(instance, 'DHT lost: no node answers any more', 100)
    assert answers(gate), 'who is connected needs no DHT'
    Process(stack, 'first again', ['bootstrap', '--listen', dht])
    for instance in (provider, gateway):
        eventually(lambda: len(instance.says('DHT reached')) == 2, 30, 'reached again')
        assert len(instance.log().splitlines()) < 15, 'a flood'


@test
def udp_port_in_use(stack):
    """the UDP port of a node is in use: told, and taken when it is free"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupant:
        occupant.bind(('127.0.0.1', 0))
        port = occupant.getsockname()[1]
        node = Process(stack, 'node', ['bootstrap', '--listen', f'127.0.0.1:{port}'])
        line = says_once(node, f'UDP port {port} on 127.0.0.1: ')
        assert 'in use by another program; no network without it; trying again in 1 s' in line, line
    node.says(f'ready: DHT node, UDP port {port}')
    elsewhere = Process(stack, 'elsewhere', ['bootstrap', '--listen', f'203.0.113.7:{port}'])
    assert 'this machine has no such address' in says_once(elsewhere, f'UDP port {port} on 203.0.113.7: ')


@test
def told_early(stack):
    """whoever is told to end while it starts ends in order: from its first word on"""
    for how in (signal.SIGTERM, signal.SIGINT) * 4:
        process = subprocess.Popen([binary(), 'bootstrap', '--listen', '203.0.113.7:4567'], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        stack.callback(process.kill)
        words = process.stdout.readline()
        assert b'no such address' in words, words
        process.send_signal(signal.SIGHUP)
        process.send_signal(how)
        rest = process.communicate(timeout=20)[0]
        assert process.returncode == 0 and b'stopping' in rest, (process.returncode, rest)


@contextlib.contextmanager
def network_of_its_own():
    """As root: a network namespace where ports below 1024 are privileged, as on most machines."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open('/proc/self/ns/net') as before:
        if libc.unshare(0x40000000) != 0:                               # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), 'unshare')
        try:
            with socket.socket() as any_socket:                         # SIOCSIFFLAGS: IFF_UP
                fcntl.ioctl(any_socket, 0x8914, struct.pack('16sh14x', b'lo', 1))
            yield
        finally:
            libc.setns(before.fileno(), 0x40000000)


@test
def a_port_below_1024(stack):
    """permission denied at a gate is told with what is missing; the other gate works"""
    if ROOT:
        stack.enter_context(network_of_its_own())
    with open('/proc/sys/net/ipv4/ip_unprivileged_port_start') as file:
        privileged = int(file.read()) > 81
    dht, secret, echo, gate = start_dht(stack, 1), new_secret(), Service(stack, serve_echo), free_ports(1)[0]
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [
        service(81, echo.port), service(gate, echo.port)]}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {
        'listen': '127.0.0.1', 'services': [{'gatePort': 81}, {'gatePort': gate}]}})
    eventually(lambda: answers(gate), 20, 'the other gate')
    if privileged:
        line = says_once(gateway, "gate 81: can't listen on 127.0.0.1: permission denied")
        assert 'CAP_NET_BIND_SERVICE, which --user gives up, or a socket unit: hypergated(8)' in line and 'trying again in' in line, line
    else:
        eventually(lambda: answers(81), 20, 'nothing stands in its way here')


@test
def no_place_for_an_identity(stack):
    """a state directory that can't be written: told, with what it means, and everything else works"""
    instance = start_instance(stack, 'stateless', new_secret(), {
        'bootstrap': ['127.0.0.1:9'], 'gateway': None, 'stateDirectory': '/proc/not/there'})
    instance.says('ready: ')
    line = says_once(instance, '/proc/not/there/stateless.gateway.seed')
    assert line.startswith('hypergated: warning: ') and 'this identity lasts until the next start only' in line, line


# --- What the user got wrong ---

@test
def all_complaints_at_once(stack):
    """a wrong configuration: every complaint with its place, exit 78, nothing else is said or done"""
    folder = folder_for(stack)
    state = os.path.join(folder.path, 'state')
    os.mkdir(state, 0o777)
    path = folder.file('bad.yaml', f'secretFil: x\nstateDirectory: {state}\nport: 70000\nprovider:\n  services:\n'
                                   '    - {gatePort: 80000, serviceHost: [], servicePort: http, protocol: sctp}\n'
                                   '    - {gatePort: 80}\n    - missing.yaml\ngateway: 3\ngateway: {}\n')
    code, said = run_to_its_end('run', path, env={'HYPERGATE_ROUTER': new_secret()})
    assert code == 78, code
    for line, about in ((1, 'did you mean secretFile'), (3, 'port: '), (6, 'gatePort: '), (6, 'serviceHost: '),
                        (6, 'servicePort: '), (6, 'protocol: '), (7, 'serviceHost'), (7, 'servicePort'), (8, 'missing.yaml'),
                        (10, '"gateway" is here twice')):
        assert re.search(rf'bad\.yaml:{line}:\d+: .*{re.escape(about)}', said), f'line {line}, {about}, in: {said}'
    assert all('.yaml' in line for line in said.splitlines()), said
    assert os.listdir(state) == [], 'an identity was made'
    for name, text, about in (('empty.yaml', '', 'the file is empty'), ('garbage.yaml', '\x00\x01\x02', 'garbage.yaml:1:1: ')):
        code, said = run_to_its_end('run', folder.file(name, text))
        assert code == 78 and about in said, said
    code, said = run_to_its_end('run', os.path.join(folder.path, 'nothing.yaml'))
    assert code == 78 and 'No such file' in said, said


@test
def secrets_that_are_none(stack):
    """a secret that others can read, of a wrong length or of other characters: refused with 78, and never printed"""
    folder, secret = folder_for(stack), new_secret()
    path = folder.file('r.yaml', 'secretFile: router.key\ngateway:\n')
    for text, mode, about in ((secret, 0o644, 'open to others'), (secret[:-1], 0o600, '63 characters, not 64'),
                              (secret + '0', 0o600, '65 characters, not 64'), (secret[:-1] + 'x', 0o600, 'character 64 is none of'),
                              ('', 0o600, 'empty')):
        secret_file(folder, text, mode=mode)
        code, said = run_to_its_end('run', path)
        assert code == 78 and about in said and secret[:20] not in said, said
        if mode == 0o600 and text:
            for args, env in ((['--router', text], {}), ([], {'HYPERGATE_ROUTER': text})):
                code, said = run_to_its_end(*args, '--gateway', env=env)
                assert code == 78 and about in said and secret[:20] not in said, said


@test
def root(stack):
    """hypergate run as root refuses and says how else; --user and --allow-root work"""
    folder, key = folder_for(stack), new_secret()
    path = folder.file('r.yaml', 'bootstrap: ["127.0.0.1:9"]\ngateway:\n')
    nobody = {'HYPERGATE_USER': None, 'HYPERGATE_ALLOW_ROOT': None, 'HYPERGATE_ROUTER': key}
    if not ROOT:
        assert run_to_its_end('run', '--user', 'root', path, env=nobody)[0] == 77
        return
    code, said = run_to_its_end('run', path, env=nobody)
    assert code == 77 and all(word in said for word in ('root', '--user NAME', 'HYPERGATE_USER', '--allow-root')), said
    for option, owner in ((['--user', 'nobody'], pwd.getpwnam('nobody').pw_uid), (['--allow-root'], 0)):
        instance = Process(stack, option[0], ['run', *option, path], env={'HYPERGATE_ROUTER': key, 'HYPERGATE_USER': ''})
        instance.says('ready: ')
        everybody = instance.settled()
        assert len(everybody) == 4, [program(pid) for pid in everybody]
        for pid in everybody:
            assert status(pid)['Uid'].split() == [str(owner)] * 4, f'{program(pid)} is not {owner}'


# --- What is promised ---

@test
def the_one_liners(stack):
    """hypergate --new, --router KEY --provider FILE, --router KEY --gateway [FILE], HYPERGATE_ROUTER, a credential: a page each"""
    folder, dht = folder_for(stack), start_dht(stack, 1)
    page = Service(stack, serve_bytes(b'Hello World'))
    gate, other = free_ports(2)
    os.mkdir(os.path.join(folder.path, 'services'))
    file = folder.file('services/http.json', json.dumps({'name': 'HTTP', 'icon': '', 'services': [service(gate, page.port)]}))
    code, key = run_to_its_end('--new')
    key = key.strip()
    assert code == 0 and re.fullmatch('[0-9a-f]{64}', key)
    provider = Process(stack, 'provider', ['--router', key, '--provider', file, '--bootstrap', dht,
                                           '--provider', json.dumps([service(other, page.port)])])
    assert says_once(provider, 'warning: --router: ')
    provider.says('ready: provider of router')
    for pid in provider.settled():
        with open(f'/proc/{pid}/cmdline', 'rb') as words:
            assert key.encode() not in words.read(), 'the secret is in argv'
    for name, args, env in (
            ('all', ['--router', key, '--gateway'], {}),
            ('some', ['--router', key, '--gateway', file], {}),
            ('environment', ['--gateway', file], {'HYPERGATE_ROUTER': key})):
        gateway = Process(stack, name, [*args, '--listen', '127.0.0.1', '--bootstrap', dht], env=env)
        gateway.says(f'gate {gate} open on 127.0.0.1')
        assert fetch(gate) == b'Hello World'
        if name == 'all':
            eventually(lambda: listens(other), 10, 'all gates')
        else:
            assert not listens(other), 'only what matches'
        assert gateway.stop() == 0
        assert key not in gateway.log(), 'the secret was printed'
    credentials = os.path.join(folder.path, 'credentials')
    os.mkdir(credentials, 0o755)
    secret_file(folder, key, 'credentials/router.key', 0o400)
    path = folder.file('r.yaml', json.dumps({'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}}))
    gateway = Process(stack, 'credential', ['run', path], env={'CREDENTIALS_DIRECTORY': credentials})
    gateway.says(f'gate {gate} open on 127.0.0.1')
    assert fetch(gate) == b'Hello World'


def fetch(port):
    with connect(port) as connection:
        connection.shutdown(socket.SHUT_WR)
        return b''.join(iter(lambda: connection.recv(1000), b''))


@test
def both_roles_and_several_instances(stack):
    """two instances on one machine, each provider and gateway, reach each other's service"""
    dht, secret = start_dht(stack, 1), new_secret()
    gates = free_ports(2)
    for n, gate in enumerate(gates):
        page = Service(stack, serve_bytes(b'page %d' % n))
        start_instance(stack, f'both {n}', secret, {'bootstrap': [dht], 'provider': {'services': [service(gate, page.port)]},
                                                    'gateway': {'listen': f'127.0.0.{2 + n}'}})
    for n, gate in enumerate(gates):
        def page():
            with contextlib.suppress(OSError), socket.create_connection((f'127.0.0.{3 - n}', gate), timeout=10) as connection:
                return connection.recv(100)
        assert eventually(page, 20, f'gate {gate} at the other') == b'page %d' % n


@test
def signals(stack):
    """SIGTERM and SIGINT end in order with exit 0; who asks twice needn't wait"""
    pair = Pair(stack, echo=serve_echo)
    open_one = connect(pair.gate['echo'])
    everybody = [*pair.provider.tree(), *pair.gateway.tree()]
    assert pair.gateway.stop(signal.SIGTERM) == 0
    assert how_it_ends(open_one) == 'reset', 'what is cut off is seen to be cut off'
    assert pair.provider.stop(signal.SIGINT) == 0
    for instance in (pair.provider, pair.gateway):
        assert 'starting it' not in instance.log() and 'killed' not in instance.log(), 'an orderly end'
    assert not any(program(pid).startswith('hypergate') for pid in everybody), 'somebody is left'

    hurried = pair.start_gateway()
    hurried.says('ready: ')
    everybody = hurried.tree()
    os.kill(hurried.workers('router')[0], signal.SIGSTOP)
    hurried.process.send_signal(signal.SIGINT)
    hurried.says('stopping: Interrupt')
    assert hurried.stop(signal.SIGINT) == 0
    assert 'did not stop in time' not in hurried.log(), 'it was waited for'
    eventually(lambda: not any(program(pid).startswith('hypergate') for pid in everybody), 5, 'all are gone')


@test
def the_readme(stack):
    """the provider and the gateway of the README work as pasted, apart from ports and paths of this machine"""
    with open(README, encoding='utf-8') as file:
        readme = file.read()
    yaml = re.findall(r'```yaml\n(.*?)```', readme, re.S)
    assert len(yaml) == 2, 'a provider and a gateway'
    folder, dht = folder_for(stack), start_dht(stack, 1)
    page, shell = Service(stack, serve_bytes(b'Hello World')), Service(stack, serve_bytes(b'SSH-2.0-'))
    gates = free_ports(2)
    path = folder.file('pasted.yaml', yaml[0].replace('/etc/hypergate/router1.key', 'router1.key'))
    yaml[0] = yaml[0].replace('# - ssh.yaml', '- ssh.yaml')
    assert '    - ssh.yaml' in yaml[0]
    folder.file('ssh.yaml', f'services:\n  - {{gatePort: {gates[1]}, serviceHost: 127.0.0.1, servicePort: {shell.port}, '
                            'protocol: tcp}\n')
    key = os.path.join(folder.path, 'router1.key')
    assert run_to_its_end('new', '--output', key)[0] == 0
    if ROOT:
        os.chown(key, pwd.getpwnam(USER).pw_uid, -1)
    assert run_to_its_end('check', path) == (0, ''), 'nothing else needs to be there'
    instances = []
    for name, text in zip(('provider', 'gateway'), yaml):
        for old, new in (('/etc/hypergate/router1.key', key), ('8000', str(gates[0])), ('8080', str(page.port))):
            text = text.replace(old, new)
        path = folder.file(f'{name}.yaml', text + f'bootstrap: ["{dht}"]\n')
        assert run_to_its_end('check', path) == (0, ''), name
        instances.append(Process(stack, name, ['run', path]))
    for gate, expected in zip(gates, (b'Hello World', b'SSH-2.0-')):
        eventually(lambda: listens(gate), 20, f'gate {gate}')
        assert fetch(gate) == expected
    assert instances[0].stop() == 0
    instances[0] = Process(stack, 'provider again', ['run', os.path.join(folder.path, 'provider.yaml')])
    instances[0].says('connected to 1 gateway')


main()
