# SPDX-License-Identifier: BSD-3-Clause
"""Nothing grows with the connections that have been: opened, ended in every way, and forgotten by all processes.

OPENS says how many (3000)."""
import os
import socket
import struct
import threading
import time

from harness import Pair, eventually, how_it_ends, main, open_files, program, sanitized, test

OPENS = int(os.environ.get('OPENS', '3000'))
RUNNERS = 8
# Until then pools and tables take the size they will keep.
WARM = max(1000, OPENS // 20)
# A heap takes its size once more when many ends come together, but not each time: what is lost is lost in every round.
ROUNDS = 3
# What an instance may grow by, whatever the number: less than 90 bytes an open in the shortest run, less than 3 in the longest.
# (The sanitizers' runtime keeps 4 MiB of what was freed in each process; they look for what is lost at exit.)
GROWTH_KIB = 256 if not sanitized() else 5 * 4096


def serve_some(connection):
    """By what its client says: an echo to the end, an end or a reset from this side."""
    how = connection.recv(1)
    while how == b'e' and (chunk := connection.recv(65536)):
        connection.sendall(chunk)
    if how == b'r':
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    elif how:
        connection.shutdown(socket.SHUT_WR)


def open_one(port, number):
    """One connection; how it goes and ends is in its number. Source addresses are spread: ports rest a minute after use."""
    with socket.create_connection(('127.0.0.1', port), 30, (f'127.0.1.{1 + number % 250}', 0)) as connection:
        kind = number % 6
        if kind == 5:           # is gone before anything was said
            return
        connection.sendall(b'eeefr'[kind:kind + 1])
        if kind == 3:           # the service ends first
            assert connection.recv(1) == b''
            return
        if kind == 4:           # the service resets
            assert how_it_ends(connection) == 'reset'
            return
        word = b'%d' % number
        connection.sendall(word)
        got = b''
        while len(got) < len(word):
            got += connection.recv(64) or b'an early end'
        assert got == word, got
        if kind == 1:           # we reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        else:
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b'', 'more than was sent'


def open_many(port, first, count):
    wrong = []

    def run(at):
        try:
            for number in range(first + at, first + count, RUNNERS):
                open_one(port, number)
        except (OSError, AssertionError) as error:
            wrong.append(f'{number}: {error!r}')
    threads = [threading.Thread(target=run, args=(at,)) for at in range(RUNNERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def memory(instance):
    """{program and pid: (PSS, anonymous memory)} in KiB; the latter is heap and stacks."""
    found = {}
    for pid in instance.settled():
        with open(f'/proc/{pid}/smaps_rollup') as file:
            facts = dict(line.split()[:2] for line in file if line.split()[0] in ('Pss:', 'Anonymous:'))
        found[f'{program(pid)} {pid}'] = int(facts['Pss:']), int(facts['Anonymous:'])
    return found


def descriptors(instance):
    return {pid: open_files(pid) for pid in instance.settled()}


def grown_kib(side, then):
    """By how much all its processes together have grown; says so of each."""
    now = memory(side)
    assert now.keys() == then.keys(), f'{side.name}: a process died'
    for name in now:
        print(f'# {side.name}: {name.rsplit(" ", 1)[0]}: PSS {then[name][0]} -> {now[name][0]} KiB, '
              f'anonymous {then[name][1]} -> {now[name][1]} KiB')
    return sum(now[name][1] - then[name][1] for name in now)


@test
def nothing_grows(stack):
    """thousands of connections, ended in order, by a reset and before they began: no process grows, no descriptor stays"""
    pair = Pair(stack, some=serve_some)
    port = pair.gate['some']
    open_many(port, 0, WARM)
    sides = (pair.gateway, pair.provider)
    eventually(lambda: not pair.service['some'].open, 20, 'all have ended')
    time.sleep(1)
    held = [descriptors(side) for side in sides]
    for number in range(ROUNDS):
        before = [memory(side) for side in sides]
        began = time.monotonic()
        open_many(port, WARM + number * OPENS, OPENS)
        print(f'# {OPENS} opens in {time.monotonic() - began:.0f} s')
        eventually(lambda: not pair.service['some'].open, 20, 'all have ended')
        eventually(lambda: [descriptors(side) for side in sides] == held, 20, 'as many descriptors as before')
        time.sleep(1)
        grown = [grown_kib(side, then) for side, then in zip(sides, before)]
        if max(grown) < GROWTH_KIB:
            return
    raise AssertionError(f'{ROUNDS} times {OPENS} opens, and each made one side grow, the last by {max(grown)} KiB')


if __name__ == '__main__':
    main()
