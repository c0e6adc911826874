# SPDX-License-Identifier: BSD-3-Clause
"""Service files behind URLs: fetched, fetched again, and what servers do that are wrong, slow, or somebody else."""
import contextlib
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading

from harness import MB, Process, Service, answers, eventually, free_ports, listens, main, new_secret, serve_echo, start_dht, start_instance, test


class Web(http.server.ThreadingHTTPServer):
    """Serves .pages {path: (status, headers, body) or a function of the handler}, and remembers (path, If-None-Match) in .asked."""
    daemon_threads = True

    def __init__(self, stack, certificate=None):
        super().__init__(('127.0.0.1', 0), Handler)
        self.pages, self.asked = {}, []
        scheme, host = ('https', 'localhost') if certificate else ('http', '127.0.0.1')
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f'{scheme}://{host}:{self.server_address[1]}'
        threading.Thread(target=self.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        stack.callback(self.server_close)
        stack.callback(self.shutdown)

    def handle_error(self, request, client_address):
        """Who does not trust us, or has enough, hangs up."""

    def put(self, path, services, etag=None):
        body = services if isinstance(services, str) else json.dumps(services)
        self.pages[path] = (200, {'ETag': etag} if etag else {}, body.encode())

    def times(self, path):
        return len([one for one, _ in self.asked if one == path])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers.get('If-None-Match')
        page = self.server.pages.get(self.path, (404, {}, b''))
        self.server.asked.append((self.path, known))
        if callable(page):
            page(self)
            return
        status, headers, body = page
        if status == 200 and known and known == headers.get('ETag'):
            status, body = 304, b''
        self.send_response(status)
        for name, value in {**headers, 'Content-Length': str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *args):
        pass


def certificate(stack):
    """A private CA that is its own server: (certificate, key), which others may read."""
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    os.chmod(folder, 0o755)
    stack.callback(shutil.rmtree, folder)
    pair = os.path.join(folder, 'ca.pem'), os.path.join(folder, 'ca.key')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-out', pair[0], '-keyout', pair[1]],
                   check=True, capture_output=True)
    return pair


def service(gate, to):
    return {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': to, 'protocol': 'tcp'}


def reload(instance):
    instance.process.send_signal(signal.SIGHUP)


class Scene:
    """A provider whose services are behind a URL, and a gateway that opens those of another one, by https."""

    def __init__(self, stack):
        self.web, self.echo, self.gates = Web(stack), Service(stack, serve_echo), free_ports(3)
        ca = certificate(stack)
        self.trusted = Web(stack, ca)
        self.trusted.put('/filter.json', {'services': [{'gatePort': gate} for gate in self.gates[:2]]})
        self.offer(self.gates[:1], 'one')
        secret, dht = new_secret(), start_dht(stack, 1)
        self.provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {
            'services': [f'{self.web.url}/moved?token=secret', service(self.gates[2], self.echo.port)]}})
        self.gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'caFile': ca[0], 'gateway': {
            'listen': '127.0.0.1', 'services': [f'{self.trusted.url}/filter.json']}})
        self.web.pages['/moved?token=secret'] = (302, {'Location': '/services.json'}, b'')

    def offer(self, gates, etag=None):
        self.web.put('/services.json', {'name': 'x', 'services': [service(gate, self.echo.port) for gate in gates]}, etag)


@test
def services_and_filters_are_fetched_and_fetched_again(stack):
    """a redirect is followed, a private CA trusted, a change comes with the next reload, and what is as it was is not sent again"""
    scene = Scene(stack)
    first, second, hidden = scene.gates
    eventually(lambda: listens(first), 20, 'the gate of what was fetched')
    assert answers(first) and not listens(second) and not listens(hidden), 'the filter was fetched, too'

    scene.offer([first, second], 'two')
    reload(scene.provider)
    eventually(lambda: listens(second), 20, 'the gate of what came')
    assert answers(first) and answers(second) and ('/services.json', 'one') in scene.web.asked

    seen = scene.web.times('/services.json')
    reload(scene.provider)
    eventually(lambda: scene.web.times('/services.json') > seen, 20, 'it asks again')
    assert scene.web.asked[-1] == ('/services.json', 'two') and answers(second)
    assert 'token=secret' not in scene.provider.log() and not scene.provider.workers('fetch')


@test
def a_gateway_opens_nothing_before_its_filter_is_known(stack):
    """until the filter is there, and when its server is not to be trusted, no gate is open, and that is said"""
    scene = Scene(stack)
    eventually(lambda: listens(scene.gates[0]), 20, 'the gate')
    other = start_instance(stack, 'other', open(scene.gateway.key, encoding='ascii').read().strip(), {
        **{key: value for key, value in json.load(open(scene.gateway.conf, encoding='utf-8')).items() if key not in ('secretFile', 'caFile')},
        'gateway': {'listen': '127.0.0.2', 'services': [f'{scene.trusted.url}/filter.json']}})
    other.says('cannot be fetched: ')
    other.says('nothing is known of it until then')
    eventually(lambda: 'peer' in other.log(), 20, 'it knows the provider')
    assert 'gate ' not in other.log(), 'no gate is open'


@test
def what_cannot_be_used_leaves_what_was_there(stack):
    """wrong JSON, a wrong service, an error of the server, too much, a loop, no server: told once each, and what was offered still is"""
    scene = Scene(stack)
    first = scene.gates[0]
    eventually(lambda: listens(first), 20, 'the gate')

    def told(text):
        before = len(scene.provider.log())
        reload(scene.provider)
        eventually(lambda: text in scene.provider.log()[before:], 20, f'it says {text}')
        assert answers(first)

    scene.web.put('/services.json', '[{"gatePort": 70000, "serviceHost": "x", "servicePort": 1}]')
    told('/moved:1:15: gatePort: expected a whole number from 1 to 65535')
    scene.provider.says('what it said before stays in use')
    scene.web.put('/services.json', '[' * 100000)
    told('what is there is not used')
    scene.web.put('/services.json', '[' + ' ' * (10 * MB) + ']')
    told('cannot be fetched: Maximum file size exceeded')
    scene.offer([first])
    told('can be fetched again')
    scene.web.pages['/services.json'] = (500, {}, b'no')
    told('cannot be fetched: the server says 500')
    scene.offer([first], 'back')
    told('can be fetched again')
    scene.web.pages['/services.json'] = (302, {'Location': '/services.json'}, b'')
    told('cannot be fetched: it leads elsewhere again and again')


@test
def a_server_that_is_slow_holds_up_nobody(stack):
    """while a server sends a byte now and then, the rest of the services is offered and used, and the instance ends when it is told to"""
    scene = Scene(stack)
    first = scene.gates[0]
    eventually(lambda: listens(first), 20, 'the gate')
    stop = threading.Event()
    stack.callback(stop.set)

    def drip(handler):
        handler.send_response(200)
        handler.send_header('Content-Length', '100')
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not stop.wait(0.1):
                handler.wfile.write(b' ')

    scene.web.pages['/services.json'] = drip
    reload(scene.provider)
    eventually(lambda: scene.provider.workers('fetch'), 20, 'it waits')
    assert all(answers(first) for _ in range(5))
    assert scene.provider.stop() == 0


def filters(count, *gates):
    return json.dumps([*({'gatePort': gate} for gate in gates), *({'serviceHost': f'{number}.example'} for number in range(count))])


@test
def what_was_refused_beside_others_is_tried_when_these_change(stack):
    """two files that name too many services together: the second one is used as soon as the first one has fewer, whoever answers first"""
    web, echo, (gate,), secret, dht = Web(stack), Service(stack, serve_echo), free_ports(1), new_secret(), start_dht(stack, 1)
    web.put('/one', filters(9000), 'one')
    web.put('/two', filters(1), 'two')
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'services': [f'{web.url}/one', f'{web.url}/two']}})
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [service(gate, echo.port)]}})
    gateway.says('/one: fetched')
    gateway.says('/two: fetched')
    web.put('/two', filters(9000, gate), 'three')
    reload(gateway)
    gateway.says('/two: what is there is not used')
    refused = gateway.log().count('/two: what is there is not used')

    def late(handler):
        """When the other one was tried in vain."""
        eventually(lambda: gateway.log().count('/two: what is there is not used') > refused, 20, 'the other one')
        body = filters(1).encode()
        handler.send_response(200)
        handler.send_header('Content-Length', str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    web.pages['/one'] = late
    reload(gateway)
    eventually(lambda: listens(gate), 20, 'the gate that the other one lets pass')
    assert answers(gate)


@test
def what_all_urls_say_is_bounded(stack):
    """of seven files of 10 MiB one finds no room: it is told, and what the others say is used"""
    web, echo, gates, secret, dht = Web(stack), Service(stack, serve_echo), free_ports(7), new_secret(), start_dht(stack, 1)
    for number, gate in enumerate(gates):
        web.put(f'/{number}', json.dumps([service(gate, echo.port)]).ljust(10 * MB))
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {
        'services': [f'{web.url}/{number}' for number in range(len(gates))]}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    eventually(lambda: sum(map(listens, gates)) == 6, 40, 'six gates')
    provider.says('there is no room for it beside what the other URLs say')
    assert sum(map(answers, gates)) == 6 and sum(map(listens, gates)) == 6


@test
def policies_of_the_command_line(stack):
    """--ingressPolicy, a file and a URL: whoever the file lets in comes in only when the URL is there, too"""
    web, gate, secret, dht = Web(stack), free_ports(1)[0], new_secret(), start_dht(stack, 1)
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    os.chmod(folder, 0o755)
    stack.callback(shutil.rmtree, folder)
    path = os.path.join(folder, 'policy.json')
    with open(path, 'w') as file:
        json.dump({'ips': {'127.0.0.0/8': {'allow': True}}}, file)
    offered = json.dumps([service(gate, Service(stack, serve_echo).port)])
    Process(stack, 'provider', ['--provider', offered, '--ingressPolicy', path, '--ingressPolicy', web.url + '/p', '--bootstrap', dht],
            {'HYPERGATE_ROUTER': secret})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    eventually(lambda: listens(gate) and web.times('/p'), 20, 'the gate, and somebody who asks')
    assert not answers(gate)
    web.put('/p', {'defaults': {'allow': False}})
    eventually(lambda: answers(gate), 40, 'it is let in')


if __name__ == '__main__':
    main()
