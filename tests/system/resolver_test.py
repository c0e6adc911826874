# SPDX-License-Identifier: BSD-3-Clause
"""Services that ask the resolver of fingerprints whose a connection to them is."""
import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.parse

from harness import Service, connect, eventually, free_ports, listens, main, new_secret, start_dht, start_instance, test

AUTH = 'nginx:open sesame'
BASIC = {'Authorization': 'Basic ' + base64.b64encode(AUTH.encode()).decode()}


def ask(port, path, method='GET', headers=BASIC):
    """(status, header fields, what the JSON says)"""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


def tuple_of(protocol, remote, server):
    """In the words of nginx."""
    return '/resolve?' + urllib.parse.urlencode({'proto': protocol, 'remote_addr': remote[0], 'remote_port': remote[1],
                                                 'server_addr': server[0], 'server_port': server[1]})


class Scene:
    def __init__(self, stack, name='127.0.0.1'):
        self.resolver, self.gate = free_ports(2)
        self.secret, self.dht = new_secret(), start_dht(stack, 1)
        self.service = Service(stack, self.serve)
        self.datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.datagrams.bind(('127.0.0.1', 0))
        self.datagrams.settimeout(1)
        self.services = [{'gatePort': self.gate, 'serviceHost': '127.0.0.1', 'servicePort': self.service.port},
                         {'gatePort': self.gate, 'serviceHost': name, 'servicePort': self.datagrams.getsockname()[1], 'protocol': 'udp'}]
        self.provider = start_instance(stack, 'provider', self.secret, {
            'bootstrap': [self.dht], 'provider': {'services': self.services}, 'fingerprintResolver': {'listen': f'127.0.0.1:{self.resolver}'}},
            env={'HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH': AUTH})
        start_instance(stack, 'gateway', self.secret, {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1'}})
        eventually(lambda: listens(self.gate), 20, 'the gate')

    def serve(self, connection):
        """Says at once to each line what the resolver says of the connection."""
        path = tuple_of('tcp', connection.getpeername(), connection.getsockname())
        while connection.recv(1):
            status, _, said = ask(self.resolver, path)
            connection.sendall(json.dumps([status, said, path]).encode() + b'\n')


def talk(client):
    client.sendall(b'?')
    with client.makefile('rb') as lines:
        return json.loads(lines.readline())


def learns_whose_its_connections_are(scene):
    with connect(scene.gate) as client:
        status, said, path = talk(client)
        assert status == 200, said
        fingerprint = said['fingerprint']
        assert (fingerprint['source']['ip'], fingerprint['source']['port']) == client.getsockname(), said
        assert (fingerprint['gateway']['ip'], fingerprint['gateway']['port']) == ('127.0.0.1', scene.gate), said
        assert list(said) == ['key', 'protocol', 'gatePort', 'channelPort', 'fingerprint', 'createdAt', 'expiresAt'], list(said)
        assert said['protocol'] == 'tcp' and said['gatePort'] == scene.gate == fingerprint['gatePort']
        assert said['channelPort'] == fingerprint['channelPort'] and said['expiresAt'] >= said['createdAt'] + 119000
        assert said['key'] in [one['key'] for one in ask(scene.resolver, '/all')[2]]
        # The same in the original's other words, and as dual-stack servers have it.
        words = dict(urllib.parse.parse_qsl(path.partition('?')[2]))
        other = urllib.parse.urlencode({'protocol': 'TCP', 'remoteAddr': '::ffff:' + words['remote_addr'],
                                        'remotePort': words['remote_port'],
                                        'localAddr': words['server_addr'], 'localPort': words['server_port']})
        assert ask(scene.resolver, '/resolve?' + other)[2]['key'] == said['key']
        assert ask(scene.resolver, '/resolve?' + other, 'POST')[0] == 200
        curl = subprocess.run(['curl', '-fsS', '-u', AUTH, f'http://127.0.0.1:{scene.resolver}{path}'], capture_output=True, check=True)
        assert json.loads(curl.stdout)['fingerprint'] == fingerprint
    eventually(lambda: ask(scene.resolver, path)[0] == 404, 20, 'it is forgotten')
    assert ask(scene.resolver, path)[2] == {'error': 'not_found', 'key': said['key']}


def session_of(scene, client):
    """Where the service sees it. It says so until it is heard: a gate for datagrams may open after the one of TCP."""
    word = b'%d' % client.getsockname()[1]

    def seen():
        with contextlib.suppress(OSError):
            client.send(word)
            while True:
                said, remote = scene.datagrams.recvfrom(10)
                if said == word:
                    return remote
    return eventually(seen, 20, 'the service hears of it')


def learns_whose_its_datagrams_are(scene):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(('127.0.0.1', scene.gate))
        remote = session_of(scene, client)
        status, _, said = ask(scene.resolver, tuple_of('udp', remote, scene.datagrams.getsockname()))
        assert status == 200 and said['fingerprint']['source']['port'] == client.getsockname()[1], said


def says_nothing_to_others(scene, stack):
    port = scene.resolver
    for path in ('/health', '/resolve', '/all', '/'):
        for headers in ({}, {'Authorization': 'Basic ' + base64.b64encode(b'nginx:open sesam').decode()}, {'Authorization': 'Bearer x'}):
            status, fields, said = ask(port, path, headers=headers)
            assert (status, said) == (401, {'error': 'unauthorized'}), (path, headers, status, said)
            assert fields['WWW-Authenticate'] == 'Basic realm="hypergate-fingerprint-resolver"'
    assert ask(port, '/health')[::2] == (200, {'ok': True})
    eventually(lambda: {one['protocol'] for one in ask(port, '/all')[2]} <= {'udp'}, 20, 'what is over is forgotten')    # sessions may be there
    assert ask(port, '/resolve?remote_addr=1.2.3.4')[::2] == (400, {'error': 'missing_tuple_params'})
    assert ask(port, '/')[::2] == (404, {'error': 'not_found'})
    assert ask(port, '/health', 'DELETE')[::2] == (405, {'error': 'method_not_allowed'})
    for _ in range(20):
        stack.enter_context(connect(port))
    with connect(port) as rude:
        rude.sendall(b'GET / HTTP/1.1\r\n' + b'x: y\r\n' * 3000)
        assert rude.recv(100).startswith(b'HTTP/1.1 400 ')
    assert ask(port, '/health')[0] == 200
    text = scene.provider.log()
    assert 'sesame' not in text
    for pid in scene.provider.settled():
        assert b'sesame' not in open(f'/proc/{pid}/cmdline', 'rb').read()


def keys(scene):
    """Of all that are known; nobody answers: of none."""
    try:
        return [one['key'] for one in ask(scene.resolver, '/all')[2]]
    except (OSError, http.client.HTTPException):
        return []


def is_known(scene):
    """Whose a new connection is."""
    try:
        with connect(scene.gate) as client:
            return talk(client)[0] == 200
    except (OSError, ValueError):
        return False


def is_told_anew(scene):
    with connect(scene.gate) as client:
        _, said, _ = talk(client)
        before, = scene.provider.workers('admin')
        os.kill(before, signal.SIGKILL)
        eventually(lambda: scene.provider.workers('admin') not in ([], [before]), 20, 'another one')
        eventually(lambda: said['key'] in keys(scene), 20, 'it knows')
        assert talk(client)[1]['fingerprint'] == said['fingerprint']


def configure(instance, key, value):
    """Another one, or none."""
    with open(instance.conf, encoding='utf-8') as file:
        config = {**json.load(file), key: value}
    with open(instance.conf, 'w', encoding='utf-8') as file:
        json.dump({key: value for key, value in config.items() if value is not None}, file)
    instance.process.send_signal(signal.SIGHUP)


def reconfigure(instance, resolver):
    configure(instance, 'fingerprintResolver', resolver)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


def status_of(connection, auth=None):
    """What /health says there; 0: nobody is there."""
    try:
        connection.request('GET', '/health', headers={'Authorization': 'Basic ' + base64.b64encode(auth.encode()).decode()} if auth else {})
        return connection.getresponse().status
    except ConnectionError:
        return 0
    finally:
        connection.close()


@test
def a_reload_moves_the_resolver(stack):
    """to another port with another password, to all addresses, back, and away; where somebody else listens it does not go, and is asked on"""
    first, second, taken = free_ports(3)
    provider = start_instance(stack, 'provider', new_secret(), {'bootstrap': [start_dht(stack, 1)], 'provider': {'services': []}})
    auth = os.path.join(os.path.dirname(provider.conf), 'auth')
    stack.enter_context(socket.create_server(('127.0.0.1', taken)))

    def at(port, address='127.0.0.1'):
        return http.client.HTTPConnection(address, port, timeout=20)

    def becomes(resolver, password=None):
        if password:
            with open(auth, 'w') as file:
                file.write(password)
            os.chmod(auth, 0o600)
            if os.geteuid() == 0:
                shutil.chown(auth, os.environ.get('HYPERGATE_USER', 'nobody'))
        reconfigure(provider, resolver)

    provider.says('ready: ')
    becomes({'listen': f'127.0.0.1:{first}'})
    eventually(lambda: status_of(at(first)) == 200, 20, 'a resolver that was not there')
    becomes({'listen': f'127.0.0.1:{second}', 'basicAuthFile': auth}, 'u:p')
    eventually(lambda: status_of(at(second), 'u:p') == 200, 20, 'another port')
    assert status_of(at(second)) == 401 and status_of(at(first)) == 0
    becomes({'listen': f'127.0.0.1:{second}', 'basicAuthFile': auth}, 'u:q')
    eventually(lambda: status_of(at(second), 'u:q') == 200, 20, 'another password')
    assert status_of(at(second), 'u:p') == 401
    becomes({'listen': f'0.0.0.0:{second}', 'basicAuthFile': auth})
    eventually(lambda: status_of(at(second, '127.0.0.2'), 'u:q') == 200, 20, 'all addresses')
    assert status_of(at(second), 'u:q') == 200
    becomes({'listen': f'127.0.0.1:{second}', 'basicAuthFile': auth})
    eventually(lambda: status_of(at(second, '127.0.0.2'), 'u:q') == 0, 20, 'one address')
    assert status_of(at(second), 'u:q') == 200
    with socket.create_server(('127.0.0.2', second)):
        becomes({'listen': f'0.0.0.0:{second}', 'basicAuthFile': auth})
        line, = provider.says(f"fingerprintResolver: can't listen on 0.0.0.0:{second}: ")
        assert line.endswith('; it stays where it was'), line
        assert status_of(at(second), 'u:q') == 200
    becomes({'listen': f'127.0.0.1:{taken}', 'basicAuthFile': auth})
    provider.says(f"fingerprintResolver: can't listen on 127.0.0.1:{taken}")
    assert status_of(at(second), 'u:q') == 200
    becomes(None)
    eventually(lambda: status_of(at(second)) == 0, 20, 'nobody')


@test
def the_resolver_is_at_a_unix_socket(stack):
    """without a password; a reload moves it from there, and takes the socket away"""
    (port,) = free_ports(1)
    place = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, place)
    os.chmod(place, 0o777)
    path = os.path.join(place, 'whose.sock')
    provider = start_instance(stack, 'provider', new_secret(), {'bootstrap': [start_dht(stack, 1)], 'provider': {'services': []},
                                                                'fingerprintResolver': {'listen': f'unix:{path}'}})
    eventually(lambda: os.path.exists(path) and status_of(UnixConnection(path)) == 200, 20, 'the resolver')
    assert os.stat(path).st_mode & 0o777 == 0o660
    said = subprocess.run(['curl', '-sS', '--unix-socket', path, 'http://localhost/all'], capture_output=True, check=True).stdout
    assert said == b'[]', said
    reconfigure(provider, {'listen': f'127.0.0.1:{port}'})
    eventually(lambda: status_of(http.client.HTTPConnection('127.0.0.1', port, timeout=20)) == 200, 20, 'it has moved')
    assert not os.path.exists(path)
    reconfigure(provider, {'listen': f'unix:{path}'})
    eventually(lambda: os.path.exists(path) and status_of(UnixConnection(path)) == 200, 20, 'and back')
    assert provider.stop() == 0 and not os.path.exists(path)


def forget_nobody(scene):
    """Who made a connection or a session is killed, and so is who answers; then there is no service any more: what goes on is known until it ends."""
    with connect(scene.gate) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        _, said, path = talk(client)
        datagrams.connect(('127.0.0.1', scene.gate))
        session = tuple_of('udp', session_of(scene, datagrams), scene.datagrams.getsockname())
        before = scene.provider.workers('forward')

        def goes_on():
            status, now, _ = talk(client)
            assert status == 200 and now['fingerprint'] == said['fingerprint'], now
            return True

        def both_go_on():
            assert ask(scene.resolver, session)[2]['fingerprint']['source']['port'] == datagrams.getsockname()[1]
            return goes_on()

        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: both_go_on() and scene.provider.workers('forward') and not set(before) & set(scene.provider.workers('forward')), 20, 'others')
        eventually(lambda: both_go_on() and is_known(scene), 20, 'those that are made then are known')
        answering, = scene.provider.workers('admin')
        os.kill(answering, signal.SIGKILL)
        eventually(lambda: said['key'] in keys(scene) and ask(scene.resolver, session)[0] == 200, 20, 'who answers then has heard of both')
        both_go_on()
        configure(scene.provider, 'provider', {'services': []})
        eventually(lambda: goes_on() and not scene.provider.workers('forward'), 20, 'nobody makes connections any more')
    eventually(lambda: ask(scene.resolver, path)[0] == 404, 20, 'it is forgotten')
    configure(scene.provider, 'provider', {'services': scene.services})
    eventually(lambda: is_known(scene), 20, 'the services are back')


@test
def weakness_14_8_services_learn_whose_their_connections_are(stack):
    """services of TCP and of datagrams ask whose a connection is, from its first byte to its end; others are told nothing"""
    scene = Scene(stack)
    learns_whose_its_connections_are(scene)
    learns_whose_its_datagrams_are(scene)
    is_told_anew(scene)
    forget_nobody(scene)
    says_nothing_to_others(scene, stack)


@test
def weakness_14_35_a_service_of_datagrams_given_by_name_learns_whose_they_are(stack):
    """one whose serviceHost is a name: by the addresses that it sees"""
    learns_whose_its_datagrams_are(Scene(stack, 'localhost'))


main()
