# SPDX-License-Identifier: BSD-3-Clause
"""What an instance keeps over a restart: the nodes of the DHT it knew, the gates it had open."""
import os
import shutil
import tempfile
import time

from harness import (Process, Service, answers, connect, eventually, free_ports, listens, main, new_secret, serve_echo, start_dht,
                     start_instance, test, test_of_what_ships)


@test
def restart_without_bootstrap_nodes(stack):
    """an instance that knew the network is back in it though its bootstrap node is dead"""
    state = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, state)
    first = start_dht(stack, 6)
    bootstrap = Process.running[0]
    secret, config = new_secret(), {'bootstrap': [first], 'stateDirectory': state, 'logLevel': 'info', 'gateway': {}}

    gateway = start_instance(stack, 'gateway', secret, config)
    gateway.says('DHT reached')
    path = os.path.join(state, 'gateway.nodes')
    eventually(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 20, 'the nodes are stored')
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert gateway.stop() == 0
    assert bootstrap.stop() == 0

    began = time.monotonic()
    again = start_instance(stack, 'gateway', secret, config)
    again.says('DHT reached')
    print(f'# DHT reached {time.monotonic() - began:.2f} s after the start', flush=True)
    again.says('announced on the DHT')
    print(f'# announced {time.monotonic() - began:.2f} s after the start', flush=True)


@test_of_what_ships
def restart_serves_within_a_second(stack):
    """a gateway that starts again has its gate open at once, and answers its client within a second of when it has its key: at the best of five"""
    state = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, state)
    dht, secret, echo, gate = start_dht(stack, 6), new_secret(), Service(stack, serve_echo), free_ports(1)[0]
    config = {'bootstrap': [dht], 'stateDirectory': state, 'logLevel': 'info', 'gateway': {'listen': '127.0.0.1'}}
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [
        {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'tcp'}]}})
    gateway = start_instance(stack, 'gateway', secret, config)
    eventually(lambda: answers(gate), 20, 'service')
    path = os.path.join(state, 'gateway.nodes')
    eventually(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 20, 'the nodes are stored')
    opened, keyed, served = [], [], []
    for _ in range(5):
        assert gateway.stop() == 0
        began = time.monotonic()
        gateway = start_instance(stack, 'gateway', secret, config)
        eventually(lambda: listens(gate), 10, 'the gate is open')
        opened.append(time.monotonic() - began)
        gateway.says('ready: ')         # its key is derived, which takes a core a quarter of a second
        keyed.append(time.monotonic() - began)
        eventually(lambda: answers(gate), 10, 'service')
        served.append(time.monotonic() - began)
        gateway.says('DHT reached')
        gateway.says('connected to 1 provider')
    print('# answered', ', '.join(f'{after:.2f}' for after in served), 's after the start, of which the processes took',
          ', '.join(f'{after:.2f}' for after in opened), 'and with their key', ', '.join(f'{after:.2f}' for after in keyed), flush=True)
    assert min(after - key for after, key in zip(served, keyed)) < 1


@test
def other_bootstrap_nodes_are_another_network(stack):
    """nodes known from one network are not taken into another"""
    state = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, state)
    secret, config = new_secret(), {'stateDirectory': state, 'logLevel': 'info', 'gateway': {}}
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [start_dht(stack, 4)], **config})
    path = os.path.join(state, 'gateway.nodes')
    eventually(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 20, 'the nodes are stored')
    assert gateway.stop() == 0

    again = start_instance(stack, 'gateway', secret, {'bootstrap': ['127.0.0.1:9'], **config})
    again.says('ready')
    time.sleep(1)
    assert 'DHT reached' not in again.log()


@test
def a_full_disk(stack):
    """a state directory without room: one line says it, everything works, nothing half-written stays, and later it is stored"""
    state = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(os.rmdir, state)
    # Its own mount namespace, in which that folder is a page large, and full. (In a chroot / is no mount that could be made private.)
    mount = (f'mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o size=4k,mode=777 none {state} && '
             f'head -c 4096 /dev/zero >{state}/filler && exec "$0" "$@"')
    rights = [] if os.geteuid() == 0 else ['--map-current-user', '--keep-caps']
    gateway = start_instance(stack, 'gateway', new_secret(), {'bootstrap': [start_dht(stack, 4)], 'stateDirectory': state,
                                                              'logLevel': 'info', 'gateway': {}},
                             under=['unshare', *rights, '--mount', '--propagation', 'unchanged', 'sh', '-c', mount])
    gateway.says('ready: ')
    inside = f'/proc/{gateway.process.pid}/root{state}'
    said = gateway.says('gateway.gateway.seed: ')
    assert len(said) == 1 and 'No space left on device: this identity lasts until the next start only' in said[0], said
    assert len(gateway.says('gateway.nodes: No space left on device: what was stored before stays')) == 1
    gateway.says('announced on the DHT')
    assert sorted(os.listdir(inside)) == ['filler', 'gateway.gates', 'gateway.nodes'] and os.path.getsize(f'{inside}/gateway.nodes') == 0
    os.remove(f'{inside}/filler')
    gateway.says('gateway.nodes: stored again', 30)
    assert os.path.getsize(f'{inside}/gateway.nodes') > 0
    assert gateway.log().count('No space left') == 2, 'said more than once'


@test
def gates_open_at_once(stack):
    """a gateway that starts again opens its gates before it has met anybody, and who comes is served when a provider is there"""
    state = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, state)
    dht, secret, echo, (gate, elsewhere) = start_dht(stack, 2), new_secret(), Service(stack, serve_echo), free_ports(2)
    offer = {'bootstrap': [dht], 'provider': {'services': [
        {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'tcp'}]}}
    config = {'bootstrap': [dht], 'stateDirectory': state, 'gateway': {'listen': '127.0.0.1'}}
    provider = start_instance(stack, 'provider', secret, offer)
    gateway = start_instance(stack, 'gateway', secret, config)
    eventually(lambda: answers(gate), 20, 'service')
    assert os.stat(os.path.join(state, 'gateway.gates')).st_mode & 0o777 == 0o600
    for end in (gateway.stop, lambda: gateway.process.kill() or gateway.process.wait()):
        provider.stop()
        end()
        eventually(lambda: not listens(gate), 10, 'nobody is there')
        gateway = start_instance(stack, 'gateway', secret, config)
        gateway.says(f'gate {gate} open on 127.0.0.1')
        with connect(gate) as client:
            client.sendall(b'waits')
            provider = start_instance(stack, 'provider', secret, offer)
            client.settimeout(20)
            assert client.recv(10) == b'waits'
    gateway.stop()
    config['gateway']['services'] = [{'gatePort': elsewhere}]   # what is not allowed any more stays shut
    gateway = start_instance(stack, 'gateway', secret, config)
    gateway.says('connected to 1 provider')
    assert not listens(gate) and 'open on' not in gateway.log()


if __name__ == '__main__':
    main()
