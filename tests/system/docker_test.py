# SPDX-License-Identifier: BSD-3-Clause
"""Services in containers, at an engine that the test plays: found as they come and go, and what engines do that are wrong, gone or somebody else."""
import contextlib
import http.server
import json
import os
import shutil
import socketserver
import tempfile
import threading
import urllib.parse

from harness import Service, answers, eventually, free_ports, listens, main, new_secret, serve_echo, start_dht, start_instance, test

NETWORK = 'hypergatenet'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def say(self, status, what):
        body = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()

    def events(self):
        engine = self.server.engine
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        with engine.news:
            seen = engine.count
            engine.listeners += 1
        with contextlib.suppress(OSError):
            while not engine.over:
                with engine.news:
                    engine.news.wait_for(lambda: engine.over or engine.count > seen, 1)
                    more, seen = engine.count > seen, engine.count
                if more:
                    self.chunk(b'{"Type":"container","Action":"start"}\n')
        self.close_connection = True

    def do_GET(self):
        engine = self.server.engine
        where = urllib.parse.urlparse(self.path)
        path = where.path.split('/', 2)[-1] if where.path.startswith('/v1.') else where.path[1:]
        engine.asked.append((self.command, where.path))
        if engine.trick:
            engine.trick(self)
        elif path == 'version':
            self.say(200, engine.version)
        elif path == 'events':
            self.events()
        elif path.startswith('networks/'):
            name = path.split('/')[1]
            self.say(200, {'Name': name, 'Driver': engine.networks[name]}) if name in engine.networks else self.say(404, {'message': 'no such network'})
        elif path == 'containers/json':
            wanted = json.loads(urllib.parse.parse_qs(where.query)['filters'][0])
            self.say(200, [{'Id': one} for one, what in engine.containers.items()
                           if set(wanted['network']) & set(what['NetworkSettings']['Networks'])])
        elif path.split('/')[1] in engine.containers:
            self.say(200, engine.containers[path.split('/')[1]])
        else:
            self.say(404, {'message': 'no such container'})

    def do_POST(self):
        engine = self.server.engine
        said = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        engine.asked.append((self.command, self.path))
        if engine.no_room:
            self.say(500, {'message': 'could not find an available, non-overlapping IPv4 address pool among the defaults'})
        else:
            engine.networks[said['Name']] = said['Driver']
            self.say(201, {'Id': 'x' * 64})

    def address_string(self):
        return 'unix'

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Who hangs up."""


class Engine:
    """.containers {id: what inspect says}, .networks {name: driver}; .asked: (method, path) of each question."""

    def __init__(self, stack):
        folder = tempfile.mkdtemp(prefix='hypergate-test-')
        os.chmod(folder, 0o755)
        stack.callback(shutil.rmtree, folder)
        self.path = os.path.join(folder, 'docker.sock')
        self.containers, self.networks, self.asked = {}, {NETWORK: 'bridge'}, []
        self.version = {'ApiVersion': '1.41', 'MinAPIVersion': '1.12'}
        self.trick, self.no_room, self.over, self.count, self.listeners = None, False, False, 0, 0
        self.news = threading.Condition()
        self.server = None
        stack.callback(self.stop)

    def start(self):
        self.over = False
        self.server = Server(self.path, Handler)
        self.server.engine = self
        os.chmod(self.path, 0o666)
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        return self

    def stop(self):
        if not self.server:
            return
        self.over = True
        with self.news:
            self.news.notify_all()
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.path)
        self.server = None

    def happens(self):
        with self.news:
            self.count += 1
            self.news.notify_all()

    def run(self, name, labels, networks=(NETWORK,), aliases=(), exposed=()):
        one = f'{len(self.containers) + 1:064x}'
        self.containers[one] = {'Id': one, 'Name': '/' + name, 'State': {'Running': True},
                                'Config': {'Labels': labels, 'ExposedPorts': {port: {} for port in exposed}},
                                'NetworkSettings': {'Ports': {}, 'Networks': {
                                    network: {'IPAddress': '127.0.0.1', 'Aliases': [*aliases, one[:12]]} for network in networks}}}
        self.happens()
        return one

    def remove(self, one):
        del self.containers[one]
        self.happens()


class Scene:
    def __init__(self, stack, docker=None, services=()):
        self.engine, self.echo, self.gates = Engine(stack), Service(stack, serve_echo), free_ports(3)
        self.secret, self.dht, self.stack = new_secret(), start_dht(stack, 1), stack
        self.docker, self.services = docker or {}, list(services)

    def start(self, filters=()):
        self.provider = start_instance(self.stack, 'provider', self.secret, {
            'bootstrap': [self.dht], 'provider': {'services': self.services}, 'docker': {'socket': self.engine.path, **self.docker}})
        self.gateway = start_instance(self.stack, 'gateway', self.secret, {'bootstrap': [self.dht], 'gateway': {
            'listen': '127.0.0.1', 'services': list(filters)}})
        return self

    def expose(self, gate):
        return {'hypergate.EXPOSE': f'{self.echo.port}:{self.gates[gate]}'}

    def opens(self, gate, seconds=30):
        eventually(lambda: listens(self.gates[gate]) and answers(self.gates[gate]), seconds, f'gate {gate}')


@test
def a_container_is_served_as_it_starts_and_until_it_stops(stack):
    """events make it known; a service of the configuration stays beside it; its announced name is its alias; a garbage entry is told of once"""
    scene = Scene(stack)
    scene.services = [{'gatePort': scene.gates[2], 'serviceHost': '127.0.0.1', 'servicePort': scene.echo.port}]
    scene.engine.start()
    scene.start([{'serviceHost': 'web.hyper', 'tags': 'docker published'}, *({'gatePort': gate} for gate in scene.gates[1:])])
    scene.opens(2)
    eventually(lambda: scene.engine.listeners, 20, 'events are heard')
    web = scene.engine.run('web', {'hypergate.EXPOSE': f'{scene.echo.port}:{scene.gates[0]},nonsense'}, aliases=['web.hyper'])
    scene.opens(0)
    scene.provider.says('container web: label hypergate.EXPOSE: "nonsense"')
    scene.engine.run('other', scene.expose(1), networks=['elsewhere'])
    scene.engine.run('hidden', {**scene.expose(1), 'hypergate.EXCLUDE': 'TRUE'})
    rounds = len(scene.engine.asked)
    scene.engine.happens()
    eventually(lambda: len(scene.engine.asked) > rounds + 2, 20, 'another round')
    assert not listens(scene.gates[1]) and answers(scene.gates[2])
    assert scene.provider.log().count('"nonsense"') == 1
    scene.engine.remove(web)
    eventually(lambda: not answers(scene.gates[0]), 20, 'it is withdrawn')
    assert answers(scene.gates[2]) and not scene.provider.log().count(scene.secret)


@test
def a_network_is_made_where_there_is_none(stack):
    """unless nothing is to be made, of which a line tells; one of another driver is told of, and used"""
    scene = Scene(stack, {'network': ['made', 'there']})
    scene.engine.networks = {'there': 'macvlan'}
    scene.engine.start()
    scene.start()
    scene.provider.says('Docker network made: made')
    scene.provider.says('Docker network there is of driver macvlan')
    assert scene.engine.networks['made'] == 'bridge'
    careful = start_instance(stack, 'careful', scene.secret, {'bootstrap': [scene.dht], 'provider': {}, 'docker': {
        'socket': scene.engine.path, 'network': 'absent', 'readOnly': True}})
    careful.says('docker network create absent')
    assert 'absent' not in scene.engine.networks and [method for method, _ in scene.engine.asked].count('POST') == 1


@test
def an_engine_may_come_late_go_and_come_back(stack):
    """what was found stays meanwhile, and what is there afterwards is found, without anything being started anew"""
    scene = Scene(stack, {'refreshTime': 1000})
    scene.start()
    scene.provider.says('Docker engine at ')
    scene.engine.start()
    scene.engine.run('web', scene.expose(0))
    scene.opens(0)
    scene.provider.says('it can be reached now')
    scene.engine.stop()
    scene.provider.says('No such file or directory')
    assert answers(scene.gates[0]), 'the container still is there'
    scene.engine.run('db', scene.expose(1))
    scene.engine.start()
    scene.opens(1)
    assert answers(scene.gates[0])


@test
def what_no_engine_says_is_told_of_and_survived(stack):
    """half a JSON, no HTTP, an old version, no room for a network, a container without an end: a line each, and the rest keeps working"""
    tricks = [
        (lambda to: to.say(200, b'{"ApiVersion": "1.4'), 'no version of a Docker engine'),
        (lambda to: to.wfile.write(b'SSH-2.0-OpenSSH_9.2\r\n') and to.connection.close(), 'no HTTP'),
        (lambda to: to.say(200, {'ApiVersion': '1.18'}), 'it speaks API 1.18'),
        (lambda to: to.say(403, {'message': 'no'}), 'status 403'),
    ]
    scene = Scene(stack, {'refreshTime': 1000})
    scene.services = [{'gatePort': scene.gates[2], 'serviceHost': '127.0.0.1', 'servicePort': scene.echo.port}]
    scene.engine.trick = tricks[0][0]
    scene.engine.start()
    scene.start()
    scene.opens(2)
    for trick, said in tricks:
        scene.engine.trick = trick
        eventually(lambda: said in scene.provider.log(), 40, said)
        assert answers(scene.gates[2])
    scene.engine.networks, scene.engine.no_room, scene.engine.trick = {}, True, None
    eventually(lambda: "can't be made (status 500)" in scene.provider.log(), 40, 'no room')
    scene.engine.no_room = False
    scene.engine.run('web', scene.expose(0))
    scene.opens(0, 60)
    scene.provider.says('answers again')
    assert answers(scene.gates[2])


main()
