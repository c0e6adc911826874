# SPDX-License-Identifier: BSD-3-Clause
"""Services and gates of protocol udp: datagrams stay whole, clients are kept apart, sessions end by themselves."""
import os
import signal
import socket
import struct
import subprocess
import time

from harness import answers, binary, digest, eventually, main, open_files, pattern, test
from udp_scene import Echo, Scene, ask, has, udp_socket

LARGEST = 65507
IP_PKTINFO = 8                  # linux/in.h
CLIENTS = 24
PASSERS_BY = 6000               # more than a gate keeps sessions


@test
def weakness_14_29_datagrams_stay_whole(stack):
    """weakness 14.29: datagrams of any size arrive whole, the empty one and the largest too; the same port serves TCP beside"""
    scene = Scene(stack)
    with scene.client() as client:
        for size in (0, 1, 1199, 1200, 1472, 9000, 61440, 61441, 65000, LARGEST):
            data = pattern(f'datagram {size}', size)
            got = eventually(lambda: [ask(client, data)], 5, f'{size} bytes')[0]
            assert got is not None and digest(got) == digest(data), f'{size} bytes sent, {got and len(got)} back'
        assert len(scene.echo.seen) <= 2, 'one client is one session'
    assert answers(scene.port)


@test
def answers_come_from_where_the_question_went(stack):
    """a gate at all addresses and at ::1 answers from the one that was asked; the service is at ::1, too"""
    v6 = ['::1'] if has('::1') else []
    scene = Scene(stack, host=(v6 or ['127.0.0.1'])[0], listen=['0.0.0.0', *v6])
    for host in ('127.0.0.1', '127.0.0.2', *v6):
        with scene.client(host) as client:
            for size in (5, 0, LARGEST):
                data = pattern(f'{host} {size}', size)
                got = eventually(lambda: [ask(client, data)], 5, f'{size} bytes from {host}')[0]
                assert got is not None and digest(got) == digest(data), f'{host}: {size} bytes sent, {got and len(got)} back'


@test
def a_service_that_is_not_there_is_missed_and_found_again(stack):
    """a closed port ends the session at once; the log says it once; when the service is back the client's next datagrams reach it"""
    scene = Scene(stack)
    with scene.client() as client:
        assert ask(client, b'one') == b'one'
        scene.echo.close()
        for _ in range(5):
            assert ask(client, b'is anybody there?') is None
        line = f'service {scene.port}/udp at 127.0.0.1:{scene.echo.port}: nobody is at 127.0.0.1:{scene.echo.port}'
        eventually(lambda: line in scene.provider.log(), 5, 'the log says so')
        assert scene.provider.log().count('nobody is at') == 1
        Echo(stack, scene.echo.port)
        eventually(lambda: ask(client, b'two') == b'two', 5, 'it is found again')


@test
def clients_are_kept_apart(stack):
    """each of many clients gets its own answers, in order, and nobody else's; the service is known by a name"""
    scene = Scene(stack, name='localhost')
    before = set(scene.echo.seen)
    clients = [scene.client() for _ in range(CLIENTS)]
    for round_number in range(20):
        for number, client in enumerate(clients):
            client.send(f'{number} {round_number}'.encode())
        for number, client in enumerate(clients):
            assert client.recv(100) == f'{number} {round_number}'.encode()
    assert len(scene.echo.seen - before) == CLIENTS
    for client in clients:
        client.close()


def descriptors(instance):
    return sum(open_files(pid) for pid in instance.settled())


@test
def sessions_end_when_silent(stack):
    """a silent session ends after the configured time, at both sides; its client begins another one"""
    scene = Scene(stack, udpSocketTimeoutMs=3000)
    with scene.client() as client:
        before = set(scene.echo.seen)
        for _ in range(12):
            eventually(lambda: ask(client, b'one') == b'one', 5, 'it is served')
            time.sleep(0.3)             # less than the limit
        assert len(scene.echo.seen - before) == 1, 'a session that is used goes on'
        busy = descriptors(scene.provider)
        time.sleep(3.5)
        eventually(lambda: descriptors(scene.provider) < busy, 20, 'it ends')
        eventually(lambda: ask(client, b'two') == b'two', 5, 'it is served again')
        assert len(scene.echo.seen - before) == 2, 'with a new session'
        eventually(lambda: descriptors(scene.provider) < busy, 20, 'no descriptor stays')


def connected(port):
    """Whose datagrams do not come to the gate at @port any more: the ports of its clients that have a socket of their own there."""
    with open('/proc/net/udp', encoding='ascii') as table:
        rows = [row.split()[1:3] for row in list(table)[1:]]
    ends = [[int(end.split(':')[1], 16) for end in row] for row in rows]
    return {remote for local, remote in ends if local == port and remote}


def detach(scene, client):
    """Has it say so much that it gets one."""
    port = client.getsockname()[1]
    eventually(lambda: ask(client, b'busy') is None or port in connected(scene.port), 20, 'it gets a socket of its own')


def is_free(port):
    with udp_socket('0.0.0.0') as probe:
        try:
            probe.bind(('0.0.0.0', port))
            return True
        except OSError:
            return False


@test
def a_busy_client_is_served_past_its_gate(stack):
    """who says much gets a socket of its own, and nothing is lost or overtaken on the way; it ends with its workers, and with the gate"""
    scene = Scene(stack, listen=['0.0.0.0'])
    with scene.client() as client, scene.client() as other:
        client.settimeout(20)
        port, sent, back = client.getsockname()[1], 0, 0
        assert ask(client, b'hello') == b'hello'
        while port not in connected(scene.port) or sent < 500:
            for _ in range(8):
                client.send(b'%d' % sent)
                sent += 1
            while back < sent - 8 * (sent < 500):       # some are always on their way
                said = client.recv(100)
                assert said == b'%d' % back, f'{said} in the place of {back} of {sent}, own socket: {port in connected(scene.port)}'
                back += 1
        while back < sent:
            assert client.recv(100) == b'%d' % back
            back += 1
        assert ask(other, b'other') == b'other' and connected(scene.port) == {port}
        for role in ('forward', 'swarm'):
            os.kill(scene.gateway.workers(role)[0], signal.SIGKILL)
            eventually(lambda: not connected(scene.port), 10, f'its socket ends with the {role} worker')
            client.settimeout(0.5)
            detach(scene, client)
        subprocess.run([binary(), 'drain', 'gateway'], env={**os.environ, 'RUNTIME_DIRECTORY': scene.gateway.folder},
                       check=True, capture_output=True)
        eventually(lambda: not connected(scene.port), 10, 'and with the gate')
        eventually(lambda: is_free(scene.port), 10, 'whose port is free')


@test
def workers_die_and_datagrams_come_back(stack):
    """any worker killed: datagrams pass again without help"""
    scene = Scene(stack)
    for side in (scene.provider, scene.gateway):
        for role in ('swarm', 'router', 'forward'):
            for pid in side.workers(role):
                os.kill(pid, signal.SIGKILL)
            eventually(scene.echoes, 15, f'{role} of the {side.name}: datagrams come back')


class Forger:
    """Sends from addresses of others, whose answers it never sees."""

    def __init__(self, stack, port):
        self.socket, self.to = stack.enter_context(udp_socket('127.0.0.1')), ('127.0.0.1', port)
        self.socket.bind(('0.0.0.0', 0))
        self.port = self.socket.getsockname()[1]

    def send(self, host, data):
        source = struct.pack('=I4s4s', 0, socket.inet_aton(host), bytes(4))
        self.socket.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, self.to)


def own_sockets(port):
    """How many clients of the gate have one."""
    with open('/proc/net/udp', encoding='ascii') as table:
        rows = [row.split()[1:3] for row in list(table)[1:]]
    return len([1 for local, remote in rows if int(local.split(':')[1], 16) == port and int(remote.split(':')[1], 16)])


@test
def who_forges_addresses_keeps_nobody_out(stack):
    """300 forged clients have all sockets of their own that there are, and go on: who is known is served beside them, and so is who is new"""
    scene = Scene(stack)
    forger = Forger(stack, scene.port)
    hosts = [f'127.1.{number // 100}.{1 + number % 100}' for number in range(300)]
    with scene.client() as client:
        assert ask(client, b'known') == b'known'

        def begin():                    # while the swarm worker is behind, what comes from new clients is lost, and counted
            for host in hosts:
                forger.send(host, b'first')
            return len(scene.echo.seen) >= 250
        eventually(begin, 20, 'they are answered')

        def go_on():
            for host in hosts:
                for _ in range(50):
                    forger.send(host, b'much')
            return own_sockets(scene.port) >= 256
        eventually(go_on, 60, 'they have all sockets of their own')
        assert own_sockets(scene.port) == 256
        for _ in range(200):
            eventually(lambda: ask(client, b'known') == b'known', 10, 'the known client is served')
        go_on()
        eventually(lambda: ask(client, b'known') == b'known', 10, 'and beside them')
        assert client.getsockname()[1] not in connected(scene.port)
    eventually(scene.echoes, 10, 'and so are new ones')


@test
def weakness_14_10_passers_by(stack):
    """weakness 14.10: thousands of sources that speak once take no place from a client that goes on"""
    scene = Scene(stack)
    workers = scene.gateway.workers('forward')
    with scene.client() as client:
        for _ in range(3):
            assert ask(client, b'steady') == b'steady'
        for number in range(PASSERS_BY):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passer_by:
                passer_by.bind((f'127.0.{1 + number // 250}.{1 + number % 250}', 0))
                passer_by.sendto(b'once', ('127.0.0.1', scene.port))
        eventually(lambda: ask(client, b'steady') == b'steady', 10, 'the steady client is served')
        detach(scene, client)
        assert connected(scene.port) == {client.getsockname()[1]}, 'and none of them has a socket of its own'
    eventually(scene.echoes, 10, 'and so are new ones')
    assert scene.gateway.workers('forward') == workers, 'whoever dropped them lives'


main()
