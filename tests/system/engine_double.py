# SPDX-License-Identifier: BSD-3-Clause
"""A Docker engine that a test plays, at a unix socket: what it says of containers, and containers that it is asked to make."""
import contextlib
import http.server
import json
import os
import shutil
import socketserver
import tempfile
import threading
import time
import urllib.parse

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

    def asked(self):
        """The words of the path, and what stands behind '?'."""
        where = urllib.parse.urlparse(self.path)
        path = where.path.split('/', 2)[-1] if where.path.startswith('/v1.') else where.path[1:]
        self.server.engine.asked.append((self.command, where.path))
        return path, {key: values[0] for key, values in urllib.parse.parse_qs(where.query).items()}

    def do_GET(self):
        engine = self.server.engine
        path, how = self.asked()
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
            self.say(200, [brief(one) for one in engine.containers.values() if matches(one, json.loads(how['filters']), 'all' in how)])
        elif path.split('/')[1] in engine.containers:
            self.say(200, engine.containers[path.split('/')[1]])
        else:
            self.say(404, {'message': 'no such container'})

    def do_POST(self):
        engine = self.server.engine
        path, how = self.asked()
        said = json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))) or '{}')
        words = path.split('/')
        if engine.refuse and (refused := engine.refuse(words, said)):
            self.say(*refused)
        elif path == 'networks/create' and engine.no_room:
            self.say(500, {'message': 'could not find an available, non-overlapping IPv4 address pool among the defaults'})
        elif path == 'networks/create':
            engine.networks[said['Name']] = said['Driver']
            self.say(201, {'Id': 'x' * 64})
        elif words[0] == 'networks' and words[2] == 'connect':
            found = engine.named(said['Container'])
            found['NetworkSettings']['Networks'][words[1]] = {'IPAddress': '127.0.0.1', **said['EndpointConfig']}
            self.say(200, {})
        elif path == 'containers/create':
            self.say(*engine.create(how['name'], said))
        else:
            self.say(*engine.begin(words[1]))

    def do_DELETE(self):
        engine = self.server.engine
        path, _ = self.asked()
        if found := engine.named(path.split('/')[1]):
            engine.remove(found['Id'])
            self.say(204, b'')
        else:
            self.say(404, {'message': 'no such container'})

    def address_string(self):
        return 'unix'

    def log_message(self, *args):
        pass


def brief(one):
    """As a list has it."""
    return {'Id': one['Id'], 'Labels': one['Config']['Labels'], 'State': one['State'].get('Status', 'running'), 'Created': one['Created'],
            'NetworkSettings': one['NetworkSettings']}


def matches(one, wanted, stopped):
    labels = [word for key, value in one['Config']['Labels'].items() for word in (key, f'{key}={value}')]
    return (stopped or one['State']['Running']) and set(wanted.get('label', labels)) <= set(labels) and \
        ('network' not in wanted or set(wanted['network']) & set(one['NetworkSettings']['Networks']))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Who hangs up."""


class Engine:
    """.containers {id: what inspect says}, .networks {name: driver}; .asked: (method, path) of each question; .made: what was asked for of each
    container that was made. .refuse(words of a path, body) may answer a POST in its place; .starts(container, what was asked for) runs it."""

    def __init__(self, stack):
        folder = tempfile.mkdtemp(prefix='hypergate-test-')
        os.chmod(folder, 0o755)
        stack.callback(shutil.rmtree, folder)
        self.path = os.path.join(folder, 'docker.sock')
        self.containers, self.networks, self.asked = {}, {NETWORK: 'bridge'}, []
        self.version = {'ApiVersion': '1.41', 'MinAPIVersion': '1.12'}
        self.made, self.images, self.refuse, self.starts, self.number = {}, {'hypergate'}, None, None, 0
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

    def new_id(self):
        self.number += 1
        return f'{self.number:064x}'

    def named(self, name):
        """The container of that id or name, or None."""
        return self.containers.get(name) or next((one for one in self.containers.values() if one['Name'] == '/' + name), None)

    def create(self, name, said):
        if said['Image'] not in self.images:
            return 404, {'message': f'No such image: {said["Image"]}:latest'}
        if self.named(name):
            return 409, {'message': f'Conflict. The container name "/{name}" is already in use'}
        one = self.new_id()
        self.made[one] = said
        self.containers[one] = {'Id': one, 'Name': '/' + name, 'Created': int(time.time()),
                                'State': {'Running': False, 'Status': 'created'},
                                'Config': {'Labels': said['Labels']}, 'NetworkSettings': {'Ports': {}, 'Networks': {
                                    network: {'IPAddress': '127.0.0.1', **how} for network, how in said['NetworkingConfig']['EndpointsConfig'].items()}}}
        return 201, {'Id': one, 'Warnings': []}

    def begin(self, name):
        found = self.named(name)
        if not found:
            return 404, {'message': f'No such container: {name}'}
        found['State'] = {'Running': True, 'Status': 'running'}
        if self.starts:
            self.starts(found, self.made[found['Id']])
        self.happens()
        return 204, b''

    def helpers(self):
        """{host: container} of helpers that run."""
        return {one['Config']['Labels']['hypergate.host']: one for one in list(self.containers.values())
                if 'hypergate.host' in one['Config']['Labels'] and one['State']['Running']}

    def run(self, name, labels, networks=(NETWORK,), aliases=(), exposed=()):
        one = self.new_id()
        self.containers[one] = {'Id': one, 'Name': '/' + name, 'Created': int(time.time()), 'State': {'Running': True},
                                'Config': {'Labels': labels, 'ExposedPorts': {port: {} for port in exposed}},
                                'NetworkSettings': {'Ports': {}, 'Networks': {
                                    network: {'IPAddress': '127.0.0.1', 'Aliases': [*aliases, one[:12]]} for network in networks}}}
        self.happens()
        return one

    def remove(self, one):
        self.containers.pop(one, None)
        self.happens()
