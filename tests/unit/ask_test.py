#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The commands of hypergate(1) that ask an instance: what they make of its answers, which are here those of a socket that says what an
instance says. Usage: ask_test.py HYPERGATE. Prints TAP."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

sys.path += ['/usr/lib/python3/dist-packages']         # Debian's python3-prometheus-client, whoever runs this
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

HYPERGATE = os.path.abspath(sys.argv[1])
KEY = 'ab' * 32
STATUS = {'type': 'status', 'instance': 'r1', 'version': '0.1.0', 'uptimeSeconds': 61.5, 'router': KEY, 'provider': False, 'gateway': True,
          'dht': {'reached': True, 'nodes': 40, 'announced': 1, 'udpPort': 49737}, 'peers': {'gateways': 0, 'providers': 2, 'relayed': 1},
          'relay': {'connections': 3, 'bytes': 12345678901}, 'gates': [{'port': 80, 'protocol': 'tcp', 'addresses': 2, 'listening': 2},
                                                                      {'port': 53, 'protocol': 'udp', 'addresses': 2, 'listening': 1}],
          'channels': 7, 'channelsEnded': {'done': 5, 'refused': 2}, 'workerRestarts': 1, 'sentBytes': 10, 'receivedBytes': 20,
          'datagramsDropped': 1, 'streamPacketsDropped': 2, 'strangersDropped': 3}
PEER = {'type': 'peer', 'key': KEY, 'role': 'provider', 'path': 'relay', 'why': 'no direct way has opened yet', 'address': '192.0.2.1:1',
        'rttMs': 25.0, 'upSeconds': 9.0, 'sentBytes': 100, 'receivedBytes': 200, 'packetsResent': 4, 'clockSkewSeconds': 0.0, 'leaves': True,
        'datagramBytes': 1472}
ANSWERS = {
    'status': [STATUS],
    'peers': [PEER, {**PEER, 'key': 'cd' * 32, 'path': 'direct', 'rttMs': None, 'leaves': False}, {'type': 'unreached', 'key': 'ef' * 32, 'why': 'x'}],
    'routes': [{'type': 'route', 'gatePort': 80, 'protocol': 'tcp', 'peer': KEY, 'services': 2}],
    'gates': [{'type': 'gate', 'gatePort': 80, 'protocol': 'tcp', 'open': True, 'listen': [
        {'address': '127.0.0.1', 'listening': True, 'why': None}, {'address': '::1', 'listening': False, 'why': 'Address already in use'}]}],
    'services': [{'type': 'service', 'gatePort': 80, 'protocol': 'tcp', 'serviceHost': 'web', 'servicePort': 8080, 'tags': 'a b', 'addresses': 0}],
    'channels': [{'type': 'channel', 'gatePort': 80, 'protocol': 'tcp', 'end': 'service', 'peer': KEY, 'state': 'open', 'ageSeconds': 1.5,
                  'sentBytes': 1, 'receivedBytes': 2}],
    'log-level': [{'type': 'log-level', 'level': 'info', 'channels': True}],
    'log-level debug': [{'type': 'log-level', 'level': 'debug', 'channels': False}],
}
tests = []


def test(function):
    tests.append(function)
    return function


def serve(listener):
    while True:
        try:
            conn, _ = listener.accept()
        except OSError:
            return
        with conn:
            request = conn.makefile().readline().rstrip('\n')
            lines = ANSWERS.get(request, []) + [{'type': 'end'} if request in ANSWERS else {'type': 'end', 'error': 'unknown request'}]
            conn.sendall(''.join(json.dumps(line) + '\n' for line in lines).encode())


def run(*args, stdin=b''):
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, 'r1.sock'))
        listener.listen(8)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        environment = {'RUNTIME_DIRECTORY': folder, **{k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')}}
        done = subprocess.run([HYPERGATE, *args], env=environment, input=stdin, capture_output=True, timeout=60)
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
    assert said('channels') == 'r1: service 80/tcp from peer abababab..., open for 1.5 s, 1 bytes sent, 2 received\n'
    assert ', leaves, 25.0 ms away, ' in said('peers')


@test
def and_objects_for_programs():
    for command in ('routes', 'gates', 'services', 'channels', 'log-level'):
        lines = [json.loads(line) for line in said(command, '--json').splitlines()]
        assert lines == [{'instance': 'r1', **each} for each in ANSWERS[command]], lines


@test
def a_level_is_no_name():
    assert said('log-level') == 'r1: info, and how each channel ended\n'
    assert said('log-level', 'debug') == said('log-level', 'debug', 'r1') == 'r1: debug, of channels those that failed\n'
    done = run('log-level', 'chatty')
    assert done.returncode == 1 and b'"chatty" does not run here' in done.stderr, done


@test
def metrics_are_what_was_told():
    found, families = metrics()
    assert len(families) == len({family.name for family in families}) > 20
    r1 = ('instance', 'r1')
    expected = {
        ('hypergate_instance_info', ('gateway', '1'), r1, ('provider', '0'), ('version', '0.1.0')): 1,
        ('hypergate_uptime_seconds', r1): 61.5, ('hypergate_dht_reached', r1): 1, ('hypergate_dht_nodes', r1): 40,
        ('hypergate_channels', r1): 7, ('hypergate_channel_sent_bytes_total', r1): 10, ('hypergate_relay_bytes_total', r1): 12345678901,
        ('hypergate_worker_restarts_total', r1): 1, ('hypergate_strangers_dropped_total', r1): 3, ('hypergate_peers_unreached', r1): 1,
        ('hypergate_gates', r1, ('listening', 'yes')): 1, ('hypergate_gates', r1, ('listening', 'no')): 1,
        ('hypergate_channels_ended_total', r1, ('reason', 'refused')): 2,
        ('hypergate_peers', r1, ('path', 'relay'), ('role', 'provider')): 1, ('hypergate_peers', r1, ('path', 'direct'), ('role', 'provider')): 1,
        ('hypergate_peers', r1, ('path', 'near'), ('role', 'gateway')): 0,
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
    for request, status in ((b'GET /metrics?x=1 HTTP/1.0\r\n\r\n', 200), (b'GET / HTTP/1.1\r\n\r\n', 404), (b'GET /metricsx HTTP/1.1\r\n\r\n', 404),
                            (b'POST /metrics HTTP/1.1\r\n\r\n', 405), (b'GET /metrics HTTP/2.0\r\n\r\n', 400), (b'\r\n\r\n', 400), (b'GET ', 400),
                            (b'GET /metrics HTTP/1.1\r\n' + b'x: y\r\n' * 4000, 400), (b'get /metrics HTTP/1.1\r\n\r\n', 400)):
        done = run('metrics', '--http', stdin=request)
        assert done.stdout.startswith(b'HTTP/1.1 %d ' % status) and done.returncode == 0, (request[:40], done.stdout[:80])


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
