#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The commands of hypergate(1) that ask an instance: what they make of its answers, which are here those of a socket that says what an
instance says. Usage: ask_test.py HYPERGATE. Prints TAP."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import urllib.request

sys.path += ['/usr/lib/python3/dist-packages']         # Debian's python3-prometheus-client, whoever runs this
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

HYPERGATE = os.path.abspath(sys.argv[1])
KEY = 'ab' * 32
STATUS = {'type': 'status', 'instance': 'r1', 'version': '0.1.0', 'uptimeSeconds': 61.5, 'router': KEY, 'provider': False, 'gateway': True,
          'dht': {'reached': True, 'nodes': 40, 'announced': 1, 'udpPort': 49737}, 'peers': {'gateways': 0, 'providers': 2, 'relayed': 1},
          'relay': {'connections': 3, 'bytes': 12345678901}, 'gates': [{'port': 80, 'protocol': 'tcp', 'addresses': 2, 'listening': 2},
                                                                      {'port': 53, 'protocol': 'udp', 'addresses': 2, 'listening': 1}],
          'hosts': {'names': 2, 'ports': 4, 'open': 3}, 'allowed': 2, 'channels': 7, 'channelsEnded': {'done': 5, 'refused': 2}, 'workerRestarts': 1, 'sentBytes': 10, 'receivedBytes': 20,
          'datagramsDropped': 1, 'streamPacketsDropped': 2, 'strangersDropped': 3, 'advertsDropped': 4}
PEER = {'type': 'peer', 'key': KEY, 'role': 'provider', 'path': 'relay', 'why': 'no direct way has opened yet', 'address': '192.0.2.1:1',
        'rttMs': 25.0, 'upSeconds': 9.0, 'sentBytes': 100, 'receivedBytes': 200, 'packetsResent': 4, 'clockSkewSeconds': 0.0, 'leaves': True,
        'datagramBytes': 1472}
ANSWERS = {
    'status': [STATUS],
    'peers': [PEER, {**PEER, 'key': 'cd' * 32, 'path': 'direct', 'rttMs': None, 'leaves': False},
              {'type': 'unreached', 'key': 'ef' * 32, 'why': 'x'}],
    'routes': [{'type': 'route', 'gatePort': 80, 'protocol': 'tcp', 'peer': KEY, 'services': 2}],
    'gates': [{'type': 'gate', 'gatePort': 80, 'protocol': 'tcp', 'open': True, 'listen': [
        {'address': '127.0.0.1', 'listening': True, 'why': None}, {'address': '::1', 'listening': False, 'why': 'Address already in use'}]}],
    'services': [{'type': 'service', 'gatePort': 80, 'protocol': 'tcp', 'serviceHost': 'web', 'servicePort': 8080, 'tags': 'a b',
                  'addresses': 0}],
    'channels': [{'type': 'channel', 'channel': 7, 'gatePort': 80, 'protocol': 'tcp', 'end': 'service', 'peer': KEY, 'state': 'open',
                  'ageSeconds': 1.5,
                  'clientAddress': '2001:db8::7', 'clientPort': 5353, 'labels': ['vip', 'a\x1b'], 'sentBytes': 1, 'receivedBytes': 2}],
    'allowed': [{'type': 'allowance', 'address': '192.0.2.7', 'until': '2026-12-01T12:00:00Z', 'secondsLeft': 1800}],
    'allow 192.0.2.7 1800': [{'type': 'allowance', 'address': '192.0.2.7', 'until': '2026-12-01T12:00:00Z', 'secondsLeft': 1800}],
    'allow ::1 2592000': [{'type': 'allowance', 'address': '::1', 'until': '2026-12-31T12:00:00Z', 'secondsLeft': 2592000}],
    'deny ::1': [{'type': 'allowance', 'address': '::1', 'until': None, 'secondsLeft': 0}],
    'log-level': [{'type': 'log-level', 'level': 'info', 'channels': True}],
    'log-level debug': [{'type': 'log-level', 'level': 'debug', 'channels': False}],
    'reload': [{'type': 'complaint', 'file': '/r1.yaml', 'line': 3, 'column': 1, 'warning': True, 'text': 'port: changes with a restart'},
               {'type': 'complaint', 'file': '/r1.yaml', 'line': 0, 'column': 0, 'warning': False, 'text': 'nothing to do'},
               {'type': 'reload', 'instance': 'r1', 'good': False, 'confirmed': False, 'changed': False, 'servicesAdded': 0,
                'servicesRemoved': 0, 'tookMs': 1.5}],
}
tests = []
dumps = json.dumps


def test(function):
    tests.append(function)
    return function


def serve(listener, always=None):
    """@always: the answer to all there is."""
    while True:
        try:
            conn, _ = listener.accept()
        except OSError:
            return
        with conn:
            request = conn.makefile().readline().rstrip('\n')
            request = request if request in ANSWERS else request.split()[0]
            lines = ANSWERS.get(request, []) + [{'type': 'end'} if request in ANSWERS else {'type': 'end', 'error': 'unknown request'}]
            conn.sendall(''.join(dumps(line) + '\n' for line in always or lines).encode())


@contextlib.contextmanager
def one_beside(folder, answer):
    """Another instance, r0, if it has an @answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        if answer:
            listener.bind(os.path.join(folder, 'r0.sock'))
            listener.listen(8)
            threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
        yield
        if answer:
            listener.shutdown(socket.SHUT_RDWR)


def run(*args, stdin=b'', journal=False, stdout=subprocess.PIPE, beside=None):
    """@journal: its standard error leads to the journal, as $JOURNAL_STREAM says. @beside: what another instance, r0, answers."""
    with tempfile.TemporaryDirectory() as folder, one_beside(folder, beside), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, 'r1.sock'))
        listener.listen(8)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        environment = {'RUNTIME_DIRECTORY': folder, **{k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')}}
        with tempfile.TemporaryFile() as errors:
            about = os.fstat(errors.fileno())
            if journal:
                environment['JOURNAL_STREAM'] = f'{about.st_dev}:{about.st_ino}'
            done = subprocess.run([HYPERGATE, *args], env=environment, input=stdin, stdout=stdout, stderr=errors, timeout=60)
            errors.seek(0)
            done.stderr = errors.read()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    return done


def said(*args):
    done = run(*args)
    assert done.returncode == 0 and done.stderr == b'', done
    return done.stdout.decode()


def metrics():
    """By name and labels."""
    families = list(parse(said('metrics')))
    return {(sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples}, families


@test
def lists_are_lines_for_people():
    assert said('routes') == 'r1: gate 80/tcp to provider abababab..., 2 services there\n'
    assert said('gates') == 'r1: gate 80/tcp on 127.0.0.1, ::1 (not listening: Address already in use)\n'
    assert said('services', 'r1') == 'r1: gate 80/tcp from web:8080, tags a b: no address is known\n'
    assert said('channels') == ('r1: service 80/tcp for [2001:db8::7]:5353 (vip,a\\x1b) from peer abababab..., open for 1.5 s, 1 bytes sent, '
                                '2 received\n')
    assert ', leaves, 25.0 ms away, ' in said('peers')


@test
def and_objects_for_programs():
    for command in ('routes', 'gates', 'services', 'channels', 'log-level', 'allowed'):
        lines = [json.loads(line) for line in said(command, '--json').splitlines()]
        assert lines == [{'instance': 'r1', **each} for each in ANSWERS[command]], lines


@test
def what_a_reload_says_stands_in_the_journal_once():
    done = run('reload')
    assert done.returncode == 78 and done.stdout == b'', done
    assert done.stderr == (b'/r1.yaml:3:1: warning: port: changes with a restart\n/r1.yaml: nothing to do\n'
                           b'hypergate: r1: not reloaded: what runs stays as it is\n'), done
    done = run('reload', journal=True)
    assert (done.returncode, done.stdout, done.stderr) == (78, b'', b''), done
    done = run('reload', '--json')
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 78 and done.stderr == b'' and said == [{'instance': 'r1', **each} for each in ANSWERS['reload']], done
    done = run('reload', 'nobody', journal=True)
    assert done.returncode == 1 and b'"nobody" does not run here' in done.stderr, 'but who could not be asked is told of'


@test
def nobody_writes_to_the_terminal():
    """Escape sequences of peers, files and names: ESC [, and its one-byte form in UTF-8"""
    evil, shown = '\x1b[2J\u009b31m\x07', '\\x1b[2J\\xc2\\x9b31m\\x07'
    before = {key: ANSWERS[key] for key in ('peers', 'services')}
    ANSWERS['peers'] = [{**PEER, 'address': evil, 'why': evil}, {'type': 'unreached', 'key': evil, 'why': evil}]
    ANSWERS['services'] = [{**before['services'][0], 'tags': evil, 'serviceHost': 'a\\b'}]
    try:
        people, services, programs = said('peers'), said('services'), said('peers', '--json')
    finally:
        ANSWERS.update(before)
    assert people.count(shown) == 3 and f'tags {shown}' in services and ' from a\\\\b:8080' in services, (people, services)
    assert (people + services + programs).replace('\n', '').isprintable() and programs.isascii()
    assert json.loads(programs.splitlines()[0])['why'] == evil, 'programs get what was said'


@test
def an_answer_is_printable():
    ANSWERS['status'], good = [{**STATUS, 'version': 'é'}], ANSWERS['status']
    try:
        global dumps
        dumps = lambda line: json.dumps(line, ensure_ascii=False)
        done = run('status', '--json')
    finally:
        ANSWERS['status'], dumps = good, json.dumps
    assert done.returncode == 1 and done.stdout == b'' and b"none of hypergated's" in done.stderr, done


@test
def an_answer_that_can_not_be_printed_is_an_error():
    change = {'type': 'change', 'instance': 'r1', 'good': True, 'confirmed': True, 'changed': True, 'file': None}
    more = {'reload': [{**ANSWERS['reload'][-1], 'good': True, 'confirmed': True}], 'undrain': [change], 'drain': [change],
            'remove 80': [change]}
    before = dict(ANSWERS)
    ANSWERS.update(more)
    try:
        for command in ('status', 'peers', 'reload', 'routes', 'gates', 'services', 'channels', 'metrics', 'log-level', 'drain',
                        'undrain', 'allowed', 'remove 80 r1', 'top -n 1'):
            for json_too in ([], ['--json']) if command not in ('metrics', 'top -n 1') else ([],):
                with open('/dev/full', 'wb') as full:
                    done = run(*command.split(), *json_too, stdout=full)
                assert done.returncode == 74, (command, json_too, done)
    finally:
        ANSWERS.clear()
        ANSWERS.update(before)


@test
def a_level_is_no_name():
    assert said('log-level') == 'r1: info, and how each channel ended\n'
    assert said('log-level', 'debug') == said('log-level', 'debug', 'r1') == 'r1: debug, of channels those that failed\n'
    done = run('log-level', 'chatty')
    assert done.returncode == 1 and b'"chatty" does not run here' in done.stderr, done


@test
def status_says_how_many_are_let_in():
    assert '  allowed   2 addresses, whatever policies say: hypergate allowed\n' in said('status')


@test
def addresses_are_allowed_and_denied():
    assert said('allow', '192.0.2.7') == said('allowed') == 'r1: 192.0.2.7 is let in until 2026-12-01T12:00:00Z, for 1800 s more\n'
    assert said('allow', '--for', '30d', '::1', 'r1') == 'r1: ::1 is let in until 2026-12-31T12:00:00Z, for 2592000 s more\n'
    assert said('deny', '::1', 'r1') == 'r1: ::1 is let in as policies say again\n'
    assert json.loads(said('deny', '--json', '::1')) == {'instance': 'r1', **ANSWERS['deny ::1'][0]}


@test
def one_that_lacks_the_role_is_no_failure_beside_one_that_has_it():
    refusal = {'type': 'end', 'error': 'it is no gateway: clients come to others', 'needs': 'gateway'}
    told, let_in = b'hypergate: it is no gateway: clients come to others\n', b'192.0.2.7 is let in until'
    for names in ([], ['r0', 'r1'], ['r1', 'r0']):
        done = run('allow', '192.0.2.7', *names, beside=[refusal])
        assert (done.returncode, done.stderr) == (0, told) and let_in in done.stdout, done
    done = run('allow', '192.0.2.7', 'r0', beside=[refusal])
    assert (done.returncode, done.stderr, done.stdout) == (1, told, b''), done
    done = run('allow', '192.0.2.7', 'r0', 'r1', 'r2', beside=[refusal])
    assert done.returncode == 1 and b'"r2" does not run here' in done.stderr and let_in in done.stdout, done
    full = {'type': 'end', 'error': '256 addresses are let in'}
    done = run('allow', '192.0.2.7', 'r0', 'r1', beside=[full])
    assert done.returncode == 1 and b'256 addresses' in done.stderr and let_in in done.stdout, done
    done = run('allow', '192.0.2.8')
    assert (done.returncode, done.stdout, done.stderr) == (1, b'', b'hypergate: unknown request\n'), 'an instance runs here'


@test
def status_says_what_the_virtual_network_has():
    assert '  hosts     2 names, 3 of 4 ports open\n' in said('status')
    told, ANSWERS['status'] = ANSWERS['status'], [{key: value for key, value in STATUS.items() if key != 'hosts'}]
    assert 'hosts' not in said('status')
    ANSWERS['status'] = told


@test
def metrics_are_what_was_told():
    found, families = metrics()
    assert len(families) == len({family.name for family in families}) > 20
    r1 = ('instance', 'r1')
    expected = {
        ('hypergate_instance_info', ('gateway', '1'), r1, ('provider', '0'), ('version', '0.1.0')): 1,
        ('hypergate_uptime_seconds', r1): 61.5, ('hypergate_dht_reached', r1): 1, ('hypergate_dht_nodes', r1): 40,
        ('hypergate_channels', r1): 7, ('hypergate_channel_sent_bytes_total', r1): 10, ('hypergate_relay_bytes_total', r1): 12345678901,
        ('hypergate_worker_restarts_total', r1): 1, ('hypergate_strangers_dropped_total', r1): 3, ('hypergate_adverts_dropped_total', r1): 4, ('hypergate_peers_unreached', r1): 1,
        ('hypergate_addresses_allowed', r1): 2, ('hypergate_host_names', r1): 2, ('hypergate_host_ports', r1): 4, ('hypergate_host_ports_open', r1): 3,
        ('hypergate_gates', r1, ('listening', 'yes')): 1, ('hypergate_gates', r1, ('listening', 'no')): 1,
        ('hypergate_channels_ended_total', r1, ('reason', 'refused')): 2,
        ('hypergate_peers', r1, ('path', 'relay'), ('role', 'provider')): 1, ('hypergate_peers', r1, ('path', 'direct'), ('role', 'provider')): 1,
        ('hypergate_peers', r1, ('path', 'near'), ('role', 'gateway')): 0, ('hypergate_peers', r1, ('path', 'relay'), ('role', 'gateway')): 0,
        ('hypergate_peer_rtt_seconds', r1, ('peer', KEY[:16]), ('role', 'provider')): 0.025,
        ('hypergate_peer_packets_resent_total', r1, ('peer', KEY[:16]), ('role', 'provider')): 4,
    }
    assert expected.items() <= found.items(), expected.items() - found.items()
    assert not any(name == 'hypergate_peer_rtt_seconds' and ('peer', 'cd' * 8) in labels for name, *labels in found), 'what is not known is left out'


@test
def metrics_answer_a_scraper():
    done = run('metrics', '--http', stdin=b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    head, body = done.stdout.decode().split('\r\n\r\n', 1)
    lines = head.split('\r\n')
    assert lines[0] == 'HTTP/1.1 200 OK' and f'Content-Length: {len(body)}' in lines and 'Connection: close' in lines, head
    assert 'Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8' in lines and body.endswith('# EOF\n')
    for request, status in ((b'GET /metrics?x=1 HTTP/1.0\r\n\r\n', 200), (b'GET / HTTP/1.1\r\n\r\n', 404),
                            (b'GET /metricsx HTTP/1.1\r\n\r\n', 404),
                            (b'POST /metrics HTTP/1.1\r\n\r\n', 405), (b'GET /metrics HTTP/2.0\r\n\r\n', 400), (b'\r\n\r\n', 400), (b'GET ', 400),
                            (b'GET /metrics HTTP/1.1\r\n' + b'x: y\r\n' * 4000, 400), (b'get /metrics HTTP/1.1\r\n\r\n', 400)):
        done = run('metrics', '--http', stdin=request)
        assert done.stdout.startswith(b'HTTP/1.1 %d ' % status) and done.returncode == 0, (request[:40], done.stdout[:80])


@test
def metrics_answer_all_scrapers_on_the_loopback():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, 'r1.sock'))
        listener.listen(8)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        environment = {'RUNTIME_DIRECTORY': folder, **{k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')}}
        for host in '127.0.0.1', '[::1]':
            server = subprocess.Popen([HYPERGATE, 'metrics', '--listen', host + ':0'], env=environment, stdout=subprocess.PIPE, text=True)
            try:
                where = server.stdout.readline().strip()
                assert where.startswith(f'http://{host}:'), where
                port = int(where.split(':')[-1].split('/')[0])
                silent = [socket.create_connection((host.strip('[]'), port)) for _ in range(3)]         # of four at a time
                for _ in range(5):
                    with urllib.request.urlopen(where, timeout=60) as answer:
                        assert answer.status == 200 and b'hypergate_channels{instance="r1"} 7\n' in answer.read()
                for one in silent:
                    one.close()
            finally:
                server.terminate()
                assert server.wait(60) == -signal.SIGTERM
                server.stdout.close()
    for where in '0.0.0.0:0', '192.0.2.1:80', 'localhost:80', '127.0.0.1', ':80', '[::]:80', '127.0.0.1:http', 'x' * 100:
        done = run('metrics', '--listen', where)
        assert done.returncode == 64 and b'an address of the loopback and a port' in done.stderr, done
    assert run('metrics', '--http', '--listen', '127.0.0.1:0').returncode == 64


@test
def metrics_of_many_instances_and_peers_are_counted_once():
    names = [f'r{number}' for number in range(3)]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for name in names:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(os.path.join(folder, name + '.sock'))
            listener.listen(8)
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
        environment = {'RUNTIME_DIRECTORY': folder, **{k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')}}
        text = subprocess.run([HYPERGATE, 'metrics'], env=environment, capture_output=True, timeout=60, text=True, check=True).stdout
    samples = [sample for family in parse(text) for sample in family.samples]
    for name in names:
        peers = [s.value for s in samples if s.name == 'hypergate_peers' and s.labels['instance'] == name]
        assert len(peers) == 10 and sum(peers) == 2, peers
        assert [s.value for s in samples if s.name == 'hypergate_peers_unreached' and s.labels['instance'] == name] == [1]


CHANGE = {'type': 'change', 'instance': 'r1', 'good': True, 'confirmed': True, 'changed': True, 'drained': False, 'servicesAdded': 1,
          'servicesRemoved': 0}


def service(port, **more):
    return {'gatePort': port, 'serviceHost': '127.0.0.1', 'servicePort': 8080, 'protocol': 'tcp', **more}


@contextlib.contextmanager
def configuration(name='r1.yaml', drop_ins=True):
    """One of a provider, in which an instance saves what is added."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if drop_ins:
            os.mkdir(path + '.d')
        with open(path, 'w', encoding='utf-8') as file:
            file.write('provider: {services: []}\n')
        ANSWERS['add'] = ANSWERS['remove'] = [{**CHANGE, 'file': path}]
        yield path
        del ANSWERS['add'], ANSWERS['remove']


def saved(path):
    """The gate ports, in the order of what was said, of what the files say together."""
    done = subprocess.run([HYPERGATE, 'check', '--show', path], env={'HYPERGATE_ROUTER': '1' * 64}, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done
    return [int(port) for port in re.findall(r'gatePort"?: *(\d+)', done.stdout)]


@test
def what_is_saved_is_one_file():
    with configuration() as path:
        said('add', '--save', json.dumps([service(8000)]), 'r1')
        said('remove', '--save', '8000', 'r1')
        assert os.listdir(path + '.d') == []
        for more in [service(8000)], [service(8000)], [service('10000-10299', servicePort='10000-10299')], [
                service(8000, tags='x \U0001f511'), service(8000, protocol='udp')]:
            assert run('add', '--save', json.dumps(more), 'r1').returncode == 0
        assert os.listdir(path + '.d') == ['added.yaml']
        found = saved(path)
        assert len(found) == 303 and found.count(8000) == 3 and set(found) == {8000, *range(10000, 10300)}, found
        said('remove', '--save', '8000/tcp', 'r1')
        assert saved(path).count(8000) == 1
        said('remove', '--save', '8000', 'r1')
        assert set(saved(path)) == set(range(10000, 10300))
        said('remove', '--save', '9', 'r1')


@test
def what_others_have_written_is_left_as_it_is():
    with configuration() as path:
        said('add', '--save', json.dumps([service(8000)]), 'r1')
        with open(path + '.d/added.yaml', 'a', encoding='utf-8') as file:
            file.write('gateway:\n')
        before = open(path + '.d/added.yaml', encoding='utf-8').read()
        for args in ('add', '--save', json.dumps([service(8001)]), 'r1'), ('remove', '--save', '8000', 'r1'):
            done = run(*args)
            assert done.returncode == 73 and b'somebody else has written to it' in done.stderr, done
        assert open(path + '.d/added.yaml', encoding='utf-8').read() == before


@test
def nothing_is_saved_that_the_next_start_would_refuse():
    with configuration() as path:
        for number in range(256):
            with open(f'{path}.d/{number:03}.yaml', 'w', encoding='utf-8') as file:
                file.write('logLevel: info\n')
        done = run('add', '--save', json.dumps([service(8000)]), 'r1')
        assert done.returncode == 73 and b'more than 256 files' in done.stderr and b'is not saved' in done.stderr, done
        assert saved(path) == [] and not os.path.exists(path + '.d/added.yaml')
        os.unlink(path + '.d/000.yaml')
        said('add', '--save', json.dumps([service(8000)]), 'r1')
        assert saved(path) == [8000]


@test
def what_is_saved_is_where_the_configuration_is_whatever_its_name():
    for name in 'caf\u00e9.yaml', 'a\\b.yaml', 'it\'s \x1b[2J\u009b \U0001f511.yaml', 'x\x1b[31m/r1.yaml':
        with configuration(name, drop_ins=False) as path:
            done = run('add', '--save', json.dumps([service(8000)]), 'r1')
            assert done.returncode == 73 and done.stderr.replace(b'\n', b'').decode().isprintable() and done.stderr.isascii(), done
            advice = re.search(r'say that again: (mkdir .*)', done.stderr.decode())[1]
            subprocess.run(['bash', '-c', advice], check=True, timeout=60)
            assert os.path.isdir(path + '.d'), advice
            said('add', '--save', json.dumps([service(8000)]), 'r1')
            assert saved(path) == [8000]
            os.unlink(path + '.d/added.yaml')
            os.mkdir(path + '.d/added.yaml')
            for args in ('add', '--save', json.dumps([service(8000)]), 'r1'), ('remove', '--save', '8000', 'r1'):
                done = run(*args)
                assert done.returncode == 73 and done.stderr.replace(b'\n', b'').decode().isprintable() and done.stderr.isascii(), done


def main():
    failed = 0
    for number, function in enumerate(tests, 1):
        verdict = 'ok'
        try:
            function()
        except Exception:
            failed += 1
            verdict = 'not ok'
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()))
        print(verdict, number, '-', function.__name__.replace('_', ' '))
    print(f'1..{len(tests)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
