# SPDX-License-Identifier: BSD-3-Clause
"""What tests of containers share: who runs them, an engine with our image, its containers, and what comes from a port."""
import json
import os
import pathlib
import signal
import subprocess
import sys

APART = pathlib.Path(__file__).resolve().parents[1] / 'system/apart.py'
sys.path[:0] = [str(APART.parent)]
import harness
import images
from engine import Engine
from networks import Network

SECRET = 'ab' * 32
SUBNET, NODE = '10.77.0', '10.77.0.2'
DHT = f'{NODE}:49737'
# All that a container may do without.
LOCKED = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']
PASSED_ON = ['HYPERGATE_IMAGE', 'HYPERGATE_TARBALL', 'HYPERGATE_MARIADB', 'HYPERGATE_BIN', 'HYPERGATE_LIBEXEC']


def main():
    """As root, which an engine needs, by sudo if who runs the tests is somebody else; and in a network of their own."""
    if os.geteuid() != 0:
        kept = [f'{name}={os.environ[name]}' for name in PASSED_ON if name in os.environ]
        os.execvp('sudo', ['sudo', '-n', 'env', *kept, 'HYPERGATE_USER=nobody', sys.executable, *sys.argv])
    if not os.environ.get('HYPERGATE_APART'):
        os.environ['HYPERGATE_APART'] = '1'
        os.execvp(sys.executable, [sys.executable, str(APART), sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended from outside'))        # and takes its engines along
    harness.main()


def machine(stack, **more):
    """An engine in a network of its own, with all images."""
    engine = Engine(stack, Network(stack), **more)
    images.load_busybox(engine)
    images.load_ours(engine)
    return engine


def with_node(engine, name='net', driver='bridge'):
    """A network of containers, and in it the first node of a DHT."""
    engine.ok('network', 'create', '--driver', driver, '--subnet', f'{SUBNET}.0/24', name)
    node = engine.started(*LOCKED, '--network', name, '--ip', NODE, images.OURS, 'bootstrap', '--listen', '0.0.0.0:49737', '--public', DHT)
    said(engine, node, 'ready')
    return node


def services(*entries):
    """The text of a service file: (gate port, host, service port) of each."""
    return json.dumps([{'gatePort': gate, 'serviceHost': host, 'servicePort': port, 'protocol': 'tcp'} for gate, host, port in entries])


def said(engine, container, text, seconds=30):
    """The first line with that text."""
    def look():
        found = [line for line in engine.logs(container).splitlines() if text in line]
        assert found or engine.inspect(container)['State']['Running'], f'{text}: it has ended'
        return found
    try:
        return harness.eventually(look, seconds, text)[0]
    except AssertionError as error:
        raise AssertionError(f'{error}; {container[:12]} said:\n{engine.logs(container)}') from None


def curl(network, address, *words):
    """What comes from there to who is on that machine, '' while nothing does."""
    with network.inside():
        done = subprocess.run(['curl', '-sS', '--connect-timeout', '2', '-m', '10', *words, f'http://{address}'],
                              capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ''


def served(network, address, what, seconds=30):
    """Until that page comes from there."""
    last = ['']

    def look():
        last[0] = curl(network, address)
        return what in last[0]
    try:
        return harness.eventually(look, seconds, f'{address} answers "{what}"')
    except AssertionError as error:
        raise AssertionError(f'{error}; it answers "{last[0]}"') from None


def ended(engine, container, seconds=10):
    """Ends it as docker stop does, before the engine would have killed it; its exit code."""
    engine.ok('stop', '--time', str(seconds), container)
    return engine.inspect(container)['State']['ExitCode']


def mariadb(network, host, statements, password='pass', image='test/mariadb'):
    """The words by which a client asks, in a container of that network, which offers nothing."""
    return ['run', '--rm', '--network', network, '-l', 'hypergate.EXCLUDE=true', '-e', f'MYSQL_PWD={password}',
            '--entrypoint', 'mariadb', image, '-h', host, '-u', 'root', '-N', '-B',
            '--connect-timeout', '20', '-e', statements]
