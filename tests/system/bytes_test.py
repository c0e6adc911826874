# SPDX-License-Identifier: BSD-3-Clause
"""Not a byte is lost, and no connection ends otherwise than it should: ours to ours."""
import concurrent.futures
import contextlib
import socket
import threading
import time

from harness import (MB, Pair, Service, answers, connect, digest, eventually, how_it_ends, main, pattern, read_all,
                     serve_bytes, serve_digest, serve_echo, talk, test)

DOWNLOAD = pattern('download', 3 * MB)


@test
def both_directions(stack):
    """20 MB each way at once, then 200 connections one by one and 50 at once"""
    pair = Pair(stack, echo=serve_echo)
    data = pattern('both', 20 * MB)
    assert digest(talk(pair.gate['echo'], data, half_close=False, expect=len(data))) == digest(data)
    for i in range(200):
        assert answers(pair.gate['echo'], pattern(i, 1000))
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert all(pool.map(lambda i: answers(pair.gate['echo'], pattern(i, 100000)), range(50)))
    eventually(lambda: not pair.service['echo'].open, 10, 'no connection to the service is left behind')


@test
def half_close(stack):
    """half-close in both orders"""
    def serve_first(connection):            # ends first, then wants all of the client's
        connection.sendall(b'begin')
        connection.shutdown(socket.SHUT_WR)
        received.append(digest(read_all(connection)))

    received = []
    pair = Pair(stack, digest=serve_digest, first=serve_first)
    # It is gone before its answer comes, so what the service sees is an end or a reset.
    eventually(lambda: pair.service['first'].served, 10, 'the look whether the gate is open is over')
    received.clear()
    data = pattern('half', 2 * MB)
    for _ in range(10):
        assert talk(pair.gate['digest'], data).decode() == digest(data)
    for n in range(1, 11):
        with connect(pair.gate['first']) as connection:
            assert read_all(connection) == b'begin'         # its end is here
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        eventually(lambda: len(received) == n, 10, 'the service has it all')
        assert received[-1] == digest(data)


@test
def ended_by_close(stack):
    """responses that end with the service's close, alone and beside bulk load"""
    pair = Pair(stack, download=serve_bytes(DOWNLOAD[:100000]), bulk=serve_bytes(DOWNLOAD * 30))
    for _ in range(50):
        assert read_all(connect(pair.gate['download'])) == DOWNLOAD[:100000]
    stop = threading.Event()

    def load():
        while not stop.is_set():
            with contextlib.suppress(OSError), connect(pair.gate['bulk']) as connection:
                while not stop.is_set() and connection.recv(65536):
                    pass
    loaders = [threading.Thread(target=load, daemon=True) for _ in range(3)]
    for loader in loaders:
        loader.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            lengths = list(pool.map(lambda _: digest(read_all(connect(pair.gate['download'], 60))), range(200)))
    finally:
        stop.set()
        for loader in loaders:
            loader.join(20)
    assert lengths == [digest(DOWNLOAD[:100000])] * 200


@test
def closed_at_once(stack):
    """uploads followed at once by the client's close"""
    def serve(connection):
        received.append(digest(read_all(connection)))

    received = []
    pair = Pair(stack, sink=serve)
    # It is gone before its answer comes, so what the service sees is an end or a reset.
    eventually(lambda: pair.service['sink'].served, 10, 'the look whether the gate is open is over')
    received.clear()
    data = pattern('upload', 100000)
    for _ in range(200):
        with connect(pair.gate['sink']) as connection:
            connection.sendall(data)
    eventually(lambda: len(received) == 200, 20, 'all uploads arrived')
    assert received == [digest(data)] * 200


@test
def faster_than_the_channel_opens(stack):
    """20 MB sent while the service takes its time to accept"""
    pair = Pair(stack, digest=serve_digest)
    data = pattern('fast', 20 * MB)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: talk(pair.gate['digest'], data).decode(), range(4))) == [digest(data)] * 4


@test
def slow_readers(stack):
    """a reader that stops for a while and one that is slow lose nothing and slow nobody else"""
    pair = Pair(stack, bulk=serve_bytes(DOWNLOAD * 8), echo=serve_echo)
    stopped, slow = connect(pair.gate['bulk'], 60), connect(pair.gate['bulk'], 60)
    begun = stopped.recv(1000)
    got = bytearray()
    for _ in range(200):
        got += slow.recv(20000)
        assert answers(pair.gate['echo'])
        time.sleep(0.02)
    whole = digest(DOWNLOAD * 8)
    assert digest(bytes(got) + read_all(slow)) == whole
    assert digest(begun + read_all(stopped)) == whole


@test
def broken_is_seen_as_broken(stack):
    """a reset on either side is a reset on the other, never a clean end"""
    def serve_reset(connection):
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')

    def serve_wait(connection):
        heard.append(connection.recv(5))
        ends.append(how_it_ends(connection))

    heard, ends = [], []
    pair = Pair(stack, reset=serve_reset, wait=serve_wait)
    eventually(lambda: ends, 10, 'the look whether the gate is open is over')
    ends.clear()
    with connect(pair.gate['reset']) as connection:
        connection.sendall(b'x' * 10)
        assert how_it_ends(connection) == 'reset'
    connection = connect(pair.gate['wait'])
    connection.sendall(b'hello')
    eventually(lambda: b'hello' in heard, 10, 'the service is reached')
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    connection.close()
    eventually(lambda: ends, 10, 'the service notices')
    assert ends == ['reset']


@test
def refused_service(stack):
    """a service that refuses resets the client soon; others go on"""
    pair = Pair(stack, gone=serve_echo, echo=serve_echo)
    pair.service['gone'].close()
    began = time.monotonic()
    # So soon that nothing can be sent, where the look whether the gate is open was refused before.
    with contextlib.suppress(ConnectionResetError), connect(pair.gate['gone']) as connection:
        connection.sendall(b'hello')
        assert how_it_ends(connection) == 'reset'
    assert time.monotonic() - began < 10
    assert answers(pair.gate['echo'])


main()
