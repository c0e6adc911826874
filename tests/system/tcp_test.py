# SPDX-License-Identifier: BSD-3-Clause
"""How TCP connections through a gate end and are kept: resets after an end, silence, keep-alive."""
import os
import re
import socket
import subprocess
import threading

from harness import connect, eventually, free_ports, how_it_ends, listens, main, new_secret, start_dht, start_instance, test

RESET = b'\1\0\0\0\0\0\0\0'     # SO_LINGER: a close is a reset


class Scene:
    """A provider of one service, which accepts and does no more, and a gateway; what both configurations say beside."""

    def __init__(self, stack, provider=None, gateway=None):
        self.stack = stack
        self.listener = stack.enter_context(socket.create_server(('127.0.0.1', 0), backlog=128))
        self.listener.settimeout(20)
        self.port, = free_ports(1)
        secret, dht = new_secret(), start_dht(stack, 1)
        service = {'gatePort': self.port, 'serviceHost': '127.0.0.1', 'servicePort': self.listener.getsockname()[1]}
        self.provider = start_instance(stack, 'provider', secret,
                                       {'bootstrap': [dht], 'provider': {'services': [service], **(provider or {})}})
        self.gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1', **(gateway or {})}})
        eventually(lambda: listens(self.port), 20, 'the gate')

    def meet(self):
        """Both ends of a connection: the client's and the service's."""
        client = self.stack.enter_context(connect(self.port))
        client.sendall(b'!')
        while True:
            service = self.stack.enter_context(self.listener.accept()[0])
            service.settimeout(20)
            if service.recv(1):         # else somebody looked whether the gate is open
                return client, service


@test
def a_reset_after_an_end_is_a_reset(stack):
    """whoever ends its direction and resets then is seen to end, and to reset, at the other end, whose own direction was silent"""
    scene = Scene(stack)
    for side in (0, 1):
        ends = scene.meet()
        near, far = ends[side], ends[1 - side]
        near.shutdown(socket.SHUT_WR)
        assert far.recv(1) == b'', 'the end arrives'
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        near.close()
        eventually(lambda: far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 10, 'the reset arrives')


@test
def who_resets_resets_the_other_end(stack):
    """a client or a service that closes with SO_LINGER 0, with bytes on their way and without, is seen to reset at the other end"""
    scene = Scene(stack)
    for side in (0, 1):
        for last in (b'', b'last'):
            ends = scene.meet()
            near, far = ends[side], ends[1 - side]
            near.sendall(last)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            near.close()
            assert how_it_ends(far) == 'reset', (side, last)


@test
def urgent_bytes_stay_where_they_are(stack):
    """what is sent as urgent (MSG_OOB) comes in its place among the rest, at either end and in bulk: none is lost, and none overtakes"""
    scene = Scene(stack)
    ends = scene.meet()
    for side in (0, 1):
        near, far = ends[side], ends[1 - side]
        near.sendall(b'before')
        near.send(b'!', socket.MSG_OOB)
        near.sendall(b'after')
        assert far.makefile('rb').read(12) == b'before!after'

        pieces = [os.urandom(50000) for _ in range(20)]

        def send(near=near, pieces=pieces):
            for piece in pieces:
                near.sendall(piece[:-1])
                while near.send(piece[-1:], socket.MSG_OOB) != 1:
                    pass
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        whole = b''.join(pieces)
        got = b''
        while len(got) < len(whole):
            more = far.recv(1 << 16)
            assert more, 'it ends early'
            got += more
        sender.join()
        assert got == whole


@test
def silence_is_ended_where_that_is_said(stack):
    """tcpSocketTimeoutMs resets a connection that is silent, at both ends, whichever side says it; one that is used goes on"""
    for said in ({'provider': {'tcpSocketTimeoutMs': 2000}}, {'gateway': {'tcpSocketTimeoutMs': 2000}}):
        scene = Scene(stack, **said)
        used, silent = scene.meet(), scene.meet()
        silent[0].settimeout(0.1)
        while True:                     # for as long as the other is silent
            used[0].sendall(b'?')
            assert used[1].recv(1) == b'?'
            try:
                silent[0].recv(1)
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
            raise AssertionError('an end in order')
        assert how_it_ends(silent[1]) == 'reset'
        used[1].sendall(b'.')
        assert used[0].recv(1) == b'.'


def timers(*ports):
    """What the kernel waits for at the connections to and from one of @ports: the keep-alive timers that are set, in seconds."""
    out = subprocess.run(['ss', '-tnoH', 'state', 'established'], check=True, capture_output=True, text=True).stdout
    return [line for line in out.splitlines() if any(f':{port} ' in line for port in ports) and 'keepalive' in line]


@test
def row_n30_silent_connections_are_asked_whether_they_are_there(stack):
    """N30: keep-alive runs at the client's connection and at the service's, with the times that were said, or not at all"""
    scene = Scene(stack, {'keepAlive': {'idleSeconds': 7200}}, {'keepAlive': {'idleSeconds': 600}})
    scene.meet()
    service_port = scene.listener.getsockname()[1]
    # "timer:(keepalive,119min,0)", "timer:(keepalive,9min59sec,0)": what is left of two hours and of ten minutes
    assert any(re.search(r'keepalive,(119|120)min', line) for line in timers(service_port)), timers(service_port)
    assert any(re.search(r'keepalive,(9min|10min)', line) for line in timers(scene.port)), timers(scene.port)
    scene = Scene(stack, {'keepAlive': False}, {'keepAlive': False})
    scene.meet()
    assert not timers(scene.port, scene.listener.getsockname()[1])


main()
