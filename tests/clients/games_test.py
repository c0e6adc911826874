# SPDX-License-Identifier: BSD-3-Clause
"""Games and voice behind a gate: servers and players of npm, mumble, and gamedig, which asks as a list of servers does."""
import os
import subprocess

from place import HERE, ask_node, eventually, folder, free_ports, gate, listens, meet, node, server, write

from scene import says

from harness import main, test


def query(kind, port):
    """What gamedig is told; nothing while nobody answers."""
    done = subprocess.run(['node', os.path.join(HERE, 'games.js'), 'query', kind, str(port)], capture_output=True,
                          text=True, check=False, timeout=60)
    return done.returncode == 0 and done.stdout


@test
def minecraft(stack):
    """minecraft-protocol: two players join a server, hear a hundred words of each other, get a letter of 30 kB, and are kept alive"""
    service, port = free_ports(2)
    node(stack, 'games.js', 'minecraft', 'serve', service)
    eventually(lambda: listens(service), 40, 'the server')
    meet(stack, [gate(port, service)])
    found = ask_node('games.js', 'minecraft', 'play', port)
    assert found == {'motd': 'a world behind a gate', 'max': 7, 'heard': 100, 'letter': True, 'alive': True}
    found = ask_node('games.js', 'query', 'minecraft', port)
    assert (found['name'], found['maxplayers']) == ('a world behind a gate', 7), found


@test
def raknet(stack):
    """RakNet: jsp-raknet finds a server, connects, and gets its messages back, the last in sixteen datagrams; gamedig finds it, too"""
    (port,) = free_ports(1)
    node(stack, 'games.js', 'raknet', 'serve', port)
    meet(stack, [{**gate(port, port, 'udp'), 'serviceHost': '127.0.0.2'}])
    eventually(lambda: query('mbe', port), 60, 'the server')
    found = ask_node('games.js', 'query', 'mbe', port)
    assert (found['name'], found['maxplayers'], found['version']) == ('a cave behind a gate', 5, '1.16.0'), found
    found = ask_node('games.js', 'raknet', 'play', port)
    assert 'a cave behind a gate' in found['name'] and found['same'] == 3, found


@test
def mumble(stack):
    """mumble: one port, where gamedig asks by UDP how many are there, and openssl is shown by TCP whose it is"""
    place, (service, port) = folder(stack), free_ports(2)
    os.chmod(place, 0o777)
    conf = write(os.path.join(place, 'conf'), f'database={place}/database\nhost=127.0.0.1\nport={service}\nusers=23\nlogfile={place}/log\n'
                 'bonjour=False\nregisterName=a room behind a gate\n')
    server(stack, service, '/usr/sbin/murmurd', '-fg', '-ini', conf)
    meet(stack, [gate(port, service, 'tcp+udp')])
    eventually(lambda: query('mumble', port), 60, 'the server')
    found = ask_node('games.js', 'query', 'mumble', port)
    assert (found['numplayers'], found['maxplayers']) == (0, 23) and found['version'].startswith('1.'), found
    shown = {one: says('bash', '-c', 'openssl s_client -connect "$0" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -subject',
                       f'127.0.0.1:{one}') for one in (service, port)}
    assert shown[port] == shown[service] and 'Murmur' in shown[port], shown


if __name__ == '__main__':
    main()
