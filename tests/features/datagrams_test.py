# SPDX-License-Identifier: BSD-3-Clause
"""Datagrams of programs that nobody here wrote."""
import contextlib
import os
import socket
import struct

from scene import eventually, folder, join, says, start, write

from harness import free_ports, main, pattern, test


def free_udp(count=1):
    return free_ports(count, socket.SOCK_DGRAM)


def gate(port, service, protocol='udp'):
    return {'gatePort': port, 'serviceHost': '127.0.0.1', 'servicePort': service, 'protocol': protocol}


def client(port, host='127.0.0.1'):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.connect(('127.0.0.1', port))
    made.settimeout(1)
    return made


def reply(asking, data):
    """What comes back, or nothing."""
    with contextlib.suppress(OSError):
        asking.send(data)
        return asking.recv(65536)
    return b''


@test
def row_n24_borders_of_datagrams_are_kept(stack):
    """N24: 90 datagrams of 3,000 bytes at once, sent before the session has a provider, come back whole"""
    (service,), (port,) = free_udp(), free_udp()
    start(stack, 'node', '-e',
          'const s = require("dgram").createSocket("udp4"); s.on("message", (m, from) => s.send(m, from.port, from.address)); '
          f's.bind({service}, "127.0.0.1", () => s.setRecvBufferSize(4 << 20))')
    join(stack, [gate(port, service)])
    with client(port) as early:
        eventually(lambda: reply(early, b'there?'), 20, 'the gate')
    sent = [struct.pack('>I', number) + pattern(number, 2996) for number in range(90)]
    with client(port) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        asking.settimeout(10)
        for data in sent:
            asking.send(data)
        got = [asking.recv(65536) for _ in sent]
    assert sorted(got) == sent, f'{len(set(got) & set(sent))} of 90 are whole'


@test
def row_n25_each_client_has_its_own_session(stack):
    """N25: dnsmasq at one port for UDP and TCP, asked by dig from many addresses at once: each has its own answer, by either protocol"""
    (service,), (port,) = free_ports(1), free_ports(1)
    records = ''.join(f'address=/n{n}.test/10.0.0.{n}\n' for n in range(1, 41)) + 'txt-record=large.test,' + ','.join('x' * 250 for _ in range(3)) + '\n'
    conf = write(os.path.join(folder(stack), 'dnsmasq.conf'),
                 f'port={service}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n{records}')
    start(stack, 'dnsmasq', '--no-daemon', '--conf-file=' + conf, '--user=' + ('root' if os.geteuid() == 0 else ''), '--pid-file')
    join(stack, [gate(port, service, 'tcp+udp')])

    def dig(*words):
        return says('dig', '@127.0.0.1', '-p', str(port), '+short', '+tries=3', '+time=5', *words).strip()
    eventually(lambda: dig('n1.test') == '10.0.0.1', 20, 'dnsmasq answers')
    for n in range(1, 41):
        words = ['-b', f'127.0.0.{n + 1}', f'n{n}.test']
        assert dig(*words) == f'10.0.0.{n}'
    assert dig('+tcp', 'n7.test') == '10.0.0.7'
    assert dig('+noedns', 'large.test', 'TXT').count('x') == 750, 'cut as a datagram, whole as a stream'


def varint(value):
    """As teeworlds packs them; small ones."""
    assert 0 <= value < 64
    return bytes([value])


def teeworlds_info(asking):
    """What a server of version 0.7 says of itself: first each side has a token of the other, so that nobody asks in another's name."""
    mine = b'\1\2\3\4'
    token = reply(asking, b'\x04\0\0' + b'\xff' * 4 + b'\x05' + mine + bytes(512))
    if len(token) < 12 or token[3:7] != mine or token[7] != 5:
        return b''
    return reply(asking, b'\x21' + token[8:12] + mine + b'\xff\xff\xff\xffgie3' + varint(7))


@test
def row_s14_a_game_server_is_found_and_asked(stack):
    """S14: a teeworlds server behind a gate for UDP tells two players its name, each of whom it knows by a token of their own"""
    (service,), (port,) = free_udp(), free_udp()
    home = folder(stack)
    start(stack, '/usr/games/teeworlds-server', 'sv_name a server behind a gate', f'sv_port {service}', 'sv_register 0',
          'bindaddr 127.0.0.1', cwd=home, env={**os.environ, 'HOME': home})
    join(stack, [gate(port, service)])
    for host in ('127.0.0.1', '127.0.0.9'):
        with client(port, host) as player:
            said = eventually(lambda: teeworlds_info(player), 30, 'the server answers')
            assert b'inf3' in said and b'a server behind a gate' in said, said


main()
