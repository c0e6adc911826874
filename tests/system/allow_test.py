# SPDX-License-Identifier: BSD-3-Clause
"""Peers that are let in by their keys, and those that are not though they know the secret."""
import json
import os
import shutil
import subprocess
import tempfile

from harness import (Service, answers, binary, connect, eventually, free_ports, how_it_ends, listens, main, new_secret,
                     serve_echo, start_dht, start_instance, test)


def ask(instance, *words):
    done = subprocess.run([binary(), *words, instance.name], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'RUNTIME_DIRECTORY': instance.folder})
    assert done.returncode == 0, done
    return done.stdout


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def write(instance, conf):
    with open(instance.conf + '.new', 'w') as file:
        json.dump({'secretFile': instance.key, **conf}, file)
    os.rename(instance.conf + '.new', instance.conf)


def readable(instance):
    """Its secret, by itself: a reload reads it as who it is."""
    if os.geteuid() == 0:
        shutil.chown(instance.key, os.environ.get('HYPERGATE_USER', 'nobody'))
    return instance


@test
def weakness_14_2_who_is_not_on_the_list_is_not_let_in(stack):
    """a gateway opens gates for the providers it names alone, a provider lets in the gateways it names alone; reloads change both lists"""
    state = tempfile.mkdtemp(prefix='hypergate-test-')
    stack.callback(shutil.rmtree, state)
    os.chmod(state, 0o777)
    dht, secret, gates = start_dht(stack, 1), new_secret(), free_ports(2)
    service = Service(stack, serve_echo)

    def provider(name, gate, **also):
        entry = {'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port}
        instance = readable(start_instance(stack, name, secret, {'bootstrap': [dht], 'stateDirectory': state, **also,
                                                                 'provider': {'services': [entry]}}))
        instance.says('ready')
        return instance

    ours, theirs = provider('ours', gates[0], cores=2), provider('theirs', gates[1])
    status = objects(ask(ours, 'status', '--json'))[0]
    keys, other = status['providerKeys'], objects(ask(theirs, 'status', '--json'))[0]['providerKey']
    assert keys[0] == status['providerKey'] and len(set(keys)) == 2, status
    assert all(key in ask(ours, 'status') for key in keys)
    base = {'bootstrap': [dht], 'stateDirectory': state}
    gateway = readable(start_instance(stack, 'gateway', secret, {**base, 'gateway': {'allowPeers': keys}}))
    eventually(lambda: answers(gates[0]), 20, 'the gate of a provider that is named')
    told = 'is not let in: allowPeers of %s does not name it; add it there if it is a %s of yours'
    said = gateway.says(f'{other} at ')
    assert len(said) == 1 and told % ('gateway', 'provider') in said[0], said
    assert not listens(gates[1])
    assert f'{other} is not let in: it comes, and allowPeers does not name it' in ask(gateway, 'peers')
    assert {'key': other, 'forbidden': True}.items() <= [one for one in objects(ask(gateway, 'peers', '--json'))
                                                         if one['type'] == 'unreached' and one['key'] == other][0].items()

    stays = connect(gates[0])
    stays.sendall(b'1')
    assert stays.recv(1) == b'1'
    write(gateway, {**base, 'gateway': {'allowPeers': [*keys, other]}})
    ask(gateway, 'reload')
    gateway.says(': allowPeers')
    eventually(lambda: answers(gates[1]), 20, 'the gate of one that is named now')
    goes = connect(gates[1])
    goes.sendall(b'1')
    assert goes.recv(1) == b'1'
    write(gateway, {**base, 'gateway': {'allowPeers': keys}})
    ask(gateway, 'reload')
    assert how_it_ends(goes) == 'reset'

    # The provider's own list: another gateway, then the one that is there.
    entry = {'gatePort': gates[0], 'serviceHost': '127.0.0.1', 'servicePort': service.port}
    mine = objects(ask(gateway, 'status', '--json'))[0]['gatewayKey']
    for key, ends in ((mine, False), (other, True)):
        write(ours, {**base, 'cores': 2, 'provider': {'services': [entry], 'allowPeers': key}})
        ask(ours, 'reload')
        if not ends:
            stays.sendall(b'2')
            assert stays.recv(1) == b'2'
    assert how_it_ends(stays) == 'reset'
    assert told % ('provider', 'gateway') in ours.says(f'{mine} at ')[0]


main()
