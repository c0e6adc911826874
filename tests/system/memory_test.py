# SPDX-License-Identifier: BSD-3-Clause
"""Memory that a control group limits: the kernel refuses nothing, it kills."""
import contextlib
import socket
import time

from cgroup import MemoryGroup
from harness import (MB, Pair, answers, connect, digest, eventually, how_it_ends, main, memory_factor, pattern, read_all,
                     serve_bytes, serve_echo, start_instance, test, test_of_what_ships)

BULK = pattern('bulk', 4 * MB)
READERS = 360           # who take nothing: each has a window of 256 KiB unread in the swarm worker
ROOM_BYTES = 8 * MB
LIMIT_BYTES = 80 * MB        # (to start takes most of it, for a moment)


class Held:
    """Connections to the bulk service whose clients take nothing."""

    def __init__(self, port, count, enough=lambda: False):
        self.readers = []
        for _ in range(count):
            with contextlib.suppress(OSError):          # one too many is reset
                self.readers.append(connect(port, 20))
            if enough():
                break

    def reset(self):
        return sum(one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 for one in self.readers)

    def ends(self):
        return [end_of(one) for one in self.readers]


def end_of(connection):
    """'reset', or 'whole': nobody had taken it from the gate's backlog, or begun with it, when the worker was killed."""
    try:
        got = read_all(connection)
    except ConnectionResetError:
        return 'reset'
    return 'whole' if digest(got) == digest(BULK) else f'{len(got)} bytes and an orderly end'


def speaks(connection):
    connection.sendall(b'x')
    return connection.recv(1) == b'x'


def whole(port):
    with connect(port, 60) as connection:
        return digest(read_all(connection)) == digest(BULK)


def oom_score_adj(pid):
    with open(f'/proc/{pid}/oom_score_adj', encoding='ascii') as file:
        return int(file.read())


def gateway_in(group, pair):
    pair.gateway.stop()
    gateway = pair.start_gateway(group.under)
    eventually(lambda: answers(pair.gate['echo']), 20, 'service in the group')
    return gateway


@test
def killed_for_want_of_memory(stack):
    """the kernel kills a swarm worker in a full control group: what it carried is reset, the supervisor lives, service is back in 5 s"""
    pair = Pair(stack, echo=serve_echo, bulk=serve_bytes(BULK))
    group = MemoryGroup(stack, 'killed')
    gateway = gateway_in(group, pair)
    beside = start_instance(stack, 'gateway beside', pair.secret, {'bootstrap': [pair.dht], 'gateway': {'listen': '127.0.0.2'}})
    beside.says(f'gate {pair.gate["echo"]} open')
    carried, not_carried = connect(pair.gate['echo']), socket.create_connection(('127.0.0.2', pair.gate['echo']), timeout=10)
    assert speaks(carried) and speaks(not_carried)
    worker = gateway.workers('swarm')

    group.limit(group.used_bytes() + ROOM_BYTES * memory_factor())
    held = Held(pair.gate['bulk'], READERS, group.killed)
    eventually(group.killed, 20, 'the kernel kills one of the group')
    began = time.monotonic()
    eventually(lambda: answers(pair.gate['echo']), 15, 'service returns')
    took = time.monotonic() - began
    assert how_it_ends(carried) == 'reset', 'what it carried is seen to break'
    ends = held.ends()
    print(f'# service was back after {took:.1f} s; of {len(ends)} that waited {ends.count("reset")} were reset, {ends.count("whole")} whole')
    assert took < 5, f'service was away for {took:.1f} s'
    assert ends.count('reset') > 0 and set(ends) <= {'reset', 'whole'}, ends
    assert speaks(not_carried), 'what another instance carries goes on'
    assert gateway.process.poll() is None and not set(worker) & set(gateway.tree()), 'the supervisor lives'
    assert whole(pair.gate['bulk'])


@test
def supervisor_is_killed_last(stack):
    """each worker says to the kernel that it goes before its supervisor"""
    pair = Pair(stack, echo=serve_echo)
    assert answers(pair.gate['echo'])       # a gate listens before the worker that serves it is up: while one starts, its supervisor is as it
    supervisor, *workers = pair.gateway.settled()
    assert len(workers) >= 4
    assert {oom_score_adj(pid) for pid in workers} == {max(oom_score_adj(supervisor) + 200, 0)}


@test_of_what_ships
def refused_for_want_of_memory(stack):
    """a control group with too little memory for all who come: one too many is refused, nobody is killed, and later all is as before"""
    pair = Pair(stack, echo=serve_echo, bulk=serve_bytes(BULK))
    group = MemoryGroup(stack, 'refused')
    group.limit(LIMIT_BYTES)
    gateway = gateway_in(group, pair)
    tree, steady = gateway.settled(), connect(pair.gate['echo'], 20)
    held = Held(pair.gate['bulk'], READERS)
    assert speaks(steady), 'who was there before stays'
    eventually(held.reset, 20, 'there are too many')
    assert speaks(steady), 'and stays'
    print(f'# {held.reset()} of {READERS} reset or refused')
    assert held.reset() < READERS
    for one in held.readers:
        one.close()
    eventually(lambda: answers(pair.gate['echo']), 20, 'service returns when memory does')
    assert whole(pair.gate['bulk'])
    assert speaks(steady)
    print(f'# {group.used_bytes() // 1024} KiB of {LIMIT_BYTES // 1024}')
    assert group.killed() == 0
    assert gateway.tree() == tree


if __name__ == '__main__':
    main()
