# SPDX-License-Identifier: BSD-3-Clause
"""What an instance keeps over a restart: the nodes of the DHT it knew."""
import os
import shutil
import tempfile
import time

from harness import Process, eventually, main, new_secret, start_dht, start_instance, test


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


if __name__ == '__main__':
    main()
