# SPDX-License-Identifier: BSD-3-Clause
"""What people ask: hypergate scan, doctor and status, and the control socket that the last one asks."""
import contextlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time

from harness import (Pair, Service, answers, binary, eventually, free_ports, main, new_secret, serve_echo, start_dht,
                     start_instance, test)


def ask(*args, folder=None):
    """What hypergate says; as root it asks as root."""
    env = {**os.environ, **({'RUNTIME_DIRECTORY': folder} if folder else {})}
    return subprocess.run([binary(), *args], capture_output=True, text=True, timeout=60, env=env)


def keys_of(value):
    """All there are in it, of what it holds too."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


def manual(page):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'man', page), encoding='utf-8') as file:
        return file.read()


def objects(done):
    """What was said, each key of which stands in the manual; reasons stand where they are explained."""
    said = [json.loads(line) for line in done.stdout.splitlines()]
    named = set(re.findall('[A-Za-z0-9]+', manual('hypergate.1').split('.Sh JSON')[1].split('.Sh EXAMPLES')[0]))
    reasons = set(' '.join(re.findall(r'^\.It Li (.+)$', manual('hypergate-journal.7'), re.M)).split())
    ended = set().union(*(one.get('channelsEnded', {}) for one in said))
    assert ended <= reasons, f'not in hypergate-journal(7): {ended - reasons}'
    assert keys_of(said) - ended <= named | {'type'}, f'not in hypergate(1): {keys_of(said) - ended - named}'
    return said


def folder_for(stack):
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    os.chmod(folder, 0o755)
    stack.callback(shutil.rmtree, folder)
    return folder


@test
def scan_finds_who_is_there(stack):
    """scan: who is at a router, by its secret's file or its public key, within a time, announcing nothing"""
    pair = Pair(stack, echo=serve_echo)
    assert answers(pair.gate['echo'])
    folder = folder_for(stack)
    path = os.path.join(folder, 'router.key')
    key = subprocess.run([binary(), 'new', '--output', os.path.join(folder, 'other.key')], capture_output=True, text=True).stdout
    with open(path, 'w', encoding='ascii') as file:
        file.write(pair.secret + '\n')
    os.chmod(path, 0o600)

    def both():         # one of them is enough for them to meet
        done = ask('scan', '--json', '--secret-file', path, '--bootstrap', pair.dht)
        return done if done.stdout.count('"type":"peer"') == 2 else None
    done = eventually(both, 20, 'both are announced')
    found = [one for one in objects(done) if one['type'] == 'peer']
    assert done.returncode == 0 and len({one['key'] for one in found}) == 2, done
    assert all(one['relays'] for one in found) and objects(done)[-1] == {**objects(done)[-1], 'type': 'end', 'peers': 2, 'timeUp': False}
    again = ask('scan', '--secret-file', path, '--bootstrap', pair.dht)
    assert again.returncode == 0 and again.stdout.endswith('answered\n') and '2 peers; ' in again.stdout, again
    assert all(one['key'] in again.stdout for one in found)
    assert pair.secret not in done.stdout + done.stderr + again.stdout
    original = ask('--router', pair.secret, '--scan', '--bootstrap', pair.dht)
    assert original.returncode == 0 and '2 peers; ' in original.stdout and pair.secret not in original.stdout + original.stderr, original

    began = time.monotonic()
    nobody = ask('scan', '--seconds', '1', '--bootstrap', '127.0.0.1:9', '00' * 32)
    assert nobody.returncode == 1 and nobody.stdout == '0 peers; 0 DHT nodes answered; the time was up\n', nobody
    assert time.monotonic() - began < 10
    empty = ask('scan', '--bootstrap', pair.dht, re.search('[0-9a-f]{64}', key).group())
    assert empty.returncode == 1 and empty.stdout.startswith('0 peers; '), empty


@test
def doctor_says_what_the_network_is_like(stack):
    """doctor: which bootstrap nodes answer, how others see this machine, its sockets; exit 1 without a network"""
    dht, folder = start_dht(stack, 5), folder_for(stack)        # where no other instance runs
    dead = f'127.0.0.1:{free_ports(1, socket.SOCK_DGRAM)[0]}'
    done = ask('doctor', '--json', '--bootstrap', f'{dht},{dead}', folder=folder)
    lines = objects(done)
    assert done.returncode == 0 and [one['type'] for one in lines] == ['bootstrap', 'bootstrap', 'self', 'end', 'clock'], done
    alive, gone, itself = {one['address']: one for one in lines[:2]}[dht], {one['address']: one for one in lines[:2]}[dead], lines[2]
    assert alive['answers'] and alive['seesUsAt'].startswith('127.0.0.1:') and alive['tookMs'] < 5000 and not gone['answers']
    assert alive['seesServerAt'] == itself['publicAddress'] and alive['pathMtuBytes'] >= 1500, alive
    assert lines[-1] == {'type': 'clock', 'peers': 0, 'peersAheadSeconds': None}, lines[-1]
    assert itself['dhtReached'] and itself['dhtNodes'] > 0 and itself['nat'] == 'open', itself
    assert [one['name'] for one in itself['sockets']] == ['server', 'client']
    assert all(one['receiveBufferBytes'] > 0 and one['receiveBufferWantedBytes'] > 0 for one in itself['sockets']), itself
    assert itself['publicAddress'] == f'127.0.0.1:{itself["sockets"][0]["port"]}'
    text = ask('doctor', '--bootstrap', dht, folder=folder)
    assert text.returncode == 0 and f'bootstrap  {dht} answers within ' in text.stdout and 'open: ' in text.stdout, text
    assert text.stdout.count('\nbuffer     UDP port ') == 2, text
    lost = ask('doctor', '--bootstrap', dead, folder=folder)
    assert lost.returncode == 1 and 'does not answer' in lost.stdout and 'not reached' in lost.stdout, lost


@test
def status_of_what_runs(stack):
    """status: each instance that runs here, and what it does; of one that does not, so"""
    folder, secret, dht = folder_for(stack), new_secret(), start_dht(stack)
    os.chmod(folder, 0o777)
    service, gate = Service(stack, serve_echo), free_ports(1)[0]
    entry = {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}
    env = {'RUNTIME_DIRECTORY': folder}
    start_instance(stack, 'house', secret, {'bootstrap': [dht], 'provider': {'services': [entry]}}, env=env)
    garden = start_instance(stack, 'garden', secret, {'bootstrap': [dht], 'gateway': {}}, env=env)
    eventually(lambda: answers(gate), 20, 'the gate')

    def both():
        seen = {one['instance']: one for one in objects(ask('status', '--json', folder=folder))}
        return seen if len(seen) == 2 and seen['garden']['peers']['providers'] == 1 and seen['garden']['receivedBytes'] else None
    seen = eventually(both, 20, 'both are told')
    assert seen['house']['provider'] and not seen['house']['gateway'] and seen['house']['gates'] == []
    assert seen['garden']['gates'] == [{'port': gate, 'protocol': 'tcp', 'addresses': 1, 'listening': 1}]
    assert seen['house']['router'] == seen['garden']['router'] and secret not in json.dumps(seen)
    assert seen['garden']['relay'] == {'connections': 0, 'bytes': 0} and seen['garden']['peers']['relayed'] == 0
    assert seen['garden']['streamPacketsDropped'] == 0, 'a machine that keeps up with one question drops no packet of a stream'
    text = ask('status', 'garden', folder=folder)
    assert text.returncode == 0 and text.stdout.startswith('garden: gateway of router ') and f'{gate}/tcp' in text.stdout, text
    assert 'dropped   0 datagrams, 0 packets of streams, ' in text.stdout, text
    assert stat.S_IMODE(os.stat(os.path.join(folder, 'garden.sock')).st_mode) & 0o077 == 0

    assert garden.stop() == 0
    gone = ask('status', 'garden', folder=folder)
    assert gone.returncode == 1 and gone.stderr == 'hypergate: "garden" does not run any more\n', gone
    never = ask('status', 'yard', folder=folder)
    assert never.returncode == 1 and never.stderr == 'hypergate: "yard" does not run here, or runs as somebody else\n', never
    assert [one['instance'] for one in objects(ask('status', '--json', folder=folder))] == ['house']
    start_instance(stack, 'garden', secret, {'bootstrap': [dht], 'gateway': {}}, env=env).says('ready')
    assert ask('status', 'garden', folder=folder).returncode == 0


@test
def those_without_a_file_and_those_that_are_dead(stack):
    """status, peers: an instance that was started without a file is found by its kind and number; what a killed one left goes away"""
    folder, secret, dht = folder_for(stack), new_secret(), start_dht(stack)
    env = {**os.environ, 'RUNTIME_DIRECTORY': folder, 'HYPERGATE_ROUTER': secret}
    process = subprocess.Popen([binary(), '--gateway', '--bootstrap', dht, '--user', os.environ['HYPERGATE_USER']], env=env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(lambda: (process.kill(), process.wait()))
    name = f'gateway-{process.pid}'
    path = os.path.join(folder, name + '.sock')
    eventually(lambda: ask('status', name, folder=folder).returncode == 0, 20, 'it answers by its name')
    assert [one['instance'] for one in objects(ask('status', '--json', folder=folder))] == [name]
    assert objects(ask('status', '--json', path))[0]['instance'] == name, 'and by the path of its socket'
    assert ask('peers', name, folder=folder).returncode == 0
    assert secret not in name

    process.kill()
    process.wait()
    gone = ask('peers', name, folder=folder)
    assert gone.returncode == 1 and gone.stderr == f'hypergate: "{name}" does not run any more\n', gone
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert ask('status', folder=folder).returncode == 1 and not os.path.exists(path), 'what it left was not removed'

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    os.utime(path, (time.time() - 60, time.time() - 60))
    garden = start_instance(stack, 'garden', secret, {'bootstrap': [dht], 'gateway': {}}, env={'RUNTIME_DIRECTORY': folder})
    garden.says('ready')
    assert sorted(os.listdir(folder)) == ['garden.sock'], 'what the dead left was not removed at the next start'


@test
def peers_and_how_they_were_reached(stack):
    """peers: whom an instance is connected to, how it got there, how far that is, whose clock is wrong; doctor tells it too"""
    folder, secret, dht = folder_for(stack), new_secret(), start_dht(stack)
    os.chmod(folder, 0o777)
    service, gate = Service(stack, serve_echo), free_ports(1)[0]
    entry = {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}
    env = {'RUNTIME_DIRECTORY': folder}
    house = start_instance(stack, 'house', secret, {'bootstrap': [dht], 'provider': {'services': [entry]}}, env=env)
    start_instance(stack, 'garden', secret, {'bootstrap': [dht], 'gateway': {}}, env=env)
    eventually(lambda: answers(gate), 20, 'the gate')
    found = {one['instance']: one for one in objects(ask('peers', '--json', folder=folder))}
    assert found['house']['role'] == 'gateway' and found['garden']['role'] == 'provider' and found['house']['key'] != found['garden']['key']
    for one in found.values():
        assert one['type'] == 'peer' and one['path'] in ('near', 'direct') and one['why'] and one['address'].startswith('127.0.0.1:'), one
        assert abs(one['clockSkewSeconds']) < 10 and one['receivedBytes'] > 0 and one['sentBytes'] > 0 and one['rttMs'] > 0, one
        assert 1123 <= one['datagramBytes'] <= 1423, one
    assert {one['direction'] for one in found.values()} == {'in', 'out'}
    text = ask('peers', 'garden', folder=folder)
    assert text.returncode == 0 and text.stdout.startswith(f'garden: provider {found["garden"]["key"][:8]}... at 127.0.0.1:'), text
    assert f'garden: provider {found["garden"]["key"][:8]}' in ask('doctor', '--bootstrap', dht, folder=folder).stdout

    def announced():
        told = objects(ask('doctor', '--json', '--bootstrap', dht, folder=folder))
        relays = {one['instance']: one for one in told if one['type'] == 'relays'}
        return told if relays['garden']['gateway'] and relays['house']['provider'] else None
    told = eventually(announced, 20, 'through whom both are reached')
    assert not [one for one in told if one['type'] == 'relays' and one['gateway'] and one['provider']], told
    text = ask('doctor', '--bootstrap', dht, folder=folder).stdout
    assert '\nrelays     peers reach the provider house through ' in text and '\nrelays     peers reach the gateway garden through ' in text, text
    assert [(one['instance'], one['key']) for one in told if one['type'] == 'peer'] == [(name, found[name]['key']) for name in ('garden', 'house')]
    assert told[-1]['type'] == 'clock' and told[-1]['peers'] == 2 and abs(told[-1]['peersAheadSeconds']) < 10, told[-1]
    assert house.stop() == 0
    eventually(lambda: not ask('peers', '--json', 'garden', folder=folder).stdout.count('"peer"'), 20, 'it is gone')


@test
def appointed_peers_need_no_dht(stack):
    """peers: KEY@HOST:PORT: a gateway reaches its provider where it is written down to be, without a DHT, and again when it comes back"""
    folder, state, secret = folder_for(stack), folder_for(stack), new_secret()
    for one in folder, state:
        os.chmod(one, 0o777)
    service, gate, port = Service(stack, serve_echo), free_ports(1)[0], free_ports(1, socket.SOCK_DGRAM)[0]
    entry = {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}
    env = {'RUNTIME_DIRECTORY': folder}
    alone = {'bootstrap': [], 'host': '127.0.0.1', 'stateDirectory': state}

    def start_house():
        house = start_instance(stack, 'house', secret, {**alone, 'port': port, 'provider': {'services': [entry]}}, env=env)
        house.says('ready')
        return house

    house = start_house()
    key = objects(ask('status', '--json', 'house', folder=folder))[0]['providerKey']
    start_instance(stack, 'garden', secret, {**alone, 'gateway': {}, 'peers': [f'{key}@localhost:{port}']}, env=env)
    eventually(lambda: answers(gate), 20, 'the gate')
    found = objects(ask('peers', '--json', 'garden', folder=folder))
    assert [(one['key'], one['address']) for one in found] == [(key, f'127.0.0.1:{port}')], found
    assert house.stop() == 0
    eventually(lambda: 'unreached' in ask('peers', '--json', 'garden', folder=folder).stdout, 20, 'it is not reached any more')
    start_house()
    eventually(lambda: answers(gate), 20, 'the gate, again')


@test
def what_nobody_asked_for_is_not_kept(stack):
    """the control socket: descriptors that come along, two at a time, are closed"""
    folder = folder_for(stack)
    os.chmod(folder, 0o777)
    one = start_instance(stack, 'one', new_secret(), {'bootstrap': [start_dht(stack)], 'gateway': {}}, env={'RUNTIME_DIRECTORY': folder})
    one.says('ready')

    def held():
        return len(os.listdir(f'/proc/{one.process.pid}/fd'))

    before = held()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking, open('/dev/null', 'rb') as null:
        asking.connect(os.path.join(folder, 'one.sock'))
        for _ in range(100):
            socket.send_fds(asking, [b'x'], [null.fileno(), null.fileno()])
        asking.sendall(b'\n')
        asking.settimeout(10)
        assert asking.recv(1), 'all of it has been read'
        assert held() <= before + 3, f'{held() - before} more of 200 that came'


@test
def who_asks_nonsense(stack):
    """the control socket: nonsense is answered, silence and crowds cost others nothing, no answer outlives who asked"""
    folder, dht = folder_for(stack), start_dht(stack)
    os.chmod(folder, 0o777)
    start_instance(stack, 'one', new_secret(), {'bootstrap': [dht], 'gateway': {}}, env={'RUNTIME_DIRECTORY': folder}).says('ready')
    path = os.path.join(folder, 'one.sock')

    def talk(request):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(path)
            one.settimeout(10)
            with contextlib.suppress(BrokenPipeError):
                one.sendall(request)
            with one.makefile('rb') as answer:
                return [json.loads(line) for line in answer]

    for request in (b'fnord\n', b'\n', b'scan\n', b'scan 00 1\n', b'scan ' + b'0' * 64 + b' 0\n', b'scan ' + b'0' * 64 + b' 301\n',
                    b'scan ' + b'0' * 64 + b' 1x\n', b'x' * 32768, b'status\0\n'):
        answer = talk(request)
        assert len(answer) == 1 and answer[0]['type'] == 'end' and answer[0]['error'], (request, answer)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(15)]
    for one in silent:
        one.connect(path)
        one.sendall(b'sta')
    assert talk(b'status\n')[0]['instance'] == 'one'
    silent[0].sendall(b'tus\n')
    assert silent[0].makefile('rb').readline().startswith(b'{"type":"status"')
    for one in silent[1:]:
        one.sendall(b'tus\n' if one is silent[1] else b'')
        one.close()
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(path)
            one.sendall(b'scan ' + b'1' * 64 + b' 300\n')
    assert talk(b'status\n')[0]['instance'] == 'one' and talk(b'scan ' + b'1' * 64 + b' 2\n')[-1]['type'] == 'end'


main()
